// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Martlet
import MartletAuth
import MartletHTTP
import MartletHooks
import MartletSQLite
import MartletSupport
import Testing

@testable import MartletCommand

@Suite("Settings")
struct HubSettingsTests {
    private static let keyFile: String = {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-settings-tests.key")
        _ = FileManager.default.createFile(atPath: place.path, contents: Data("a key\n".utf8))
        return place.path
    }()

    private static let secretFile: String = {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-settings-tests.hooks")
        let text = "the new secret of hooks\nthe old secret of hooks\n"
        _ = FileManager.default.createFile(atPath: place.path, contents: Data(text.utf8))
        return place.path
    }()

    /// Settings that go with none of the others.
    private static let alternatives = [
        "publisher-jwks", "subscriber-key", "authorize-url", "read-only", "node", "store",
    ]

    /// A text for each setting that differs from its default.
    private static let texts = [
        "host": "localhost", "port": "0", "heartbeat": "500ms", "log": "sqlite:hub.db", "durability": "os",
        "history-events": "7", "history-bytes": "1GiB",
        "history-age": "7d", "retention": #"[{"topics": "chat/{id}", "events": 9, "bytes": "1KiB", "age": "1h"}]"#,
        "remembered-topics": "8", "state-keys": "9", "state-bytes": "1MiB",
        "latest-topics": "prices/{id} a{?b,c}", "skipped-topics": "cursors/{id} b", "window-bytes": "65536",
        "max-connections": "100",
        "max-connection-age": "1h", "max-shard-lag": "1MiB", "publish-queue": "5", "publish-timeout": "1s",
        "metrics-port": "9000", "shards": "3", "write-timeout": "9s", "idle-timeout": "8s",
        "upload-timeout": "7s", "max-topics-per-subscription": "6", "max-connections-per-address": "5",
        "max-streams-per-principal": "4", "max-streams-per-address": "3", "publish-rate-per-principal": "2",
        "publish-rate-per-address": "2:7", "publish-bytes-per-principal": "1KiB",
        "publish-bytes-per-address": "1KiB:1MiB", "remembered-clients": "2000",
        "trusted-proxies": "10.0.0.0/8, 2001:db8::/32 unix", "proxy-protocol": "true", "max-tickets": "9",
        "max-tickets-per-principal": "8",
        "replay-budget": "4MiB",
        "grace": "0", "demo": "true",
        "publisher-key": "file:\(keyFile)", "publisher-alg": "HS384", "subscriber-jwks": "file:/keys.json",
        "subscriber-alg": "ES256", "publisher-audience": "hub", "publisher-issuer": "https://a/",
        "subscriber-audience": "hub, api://hub", "subscriber-issuer": "https://a/ https://b/",
        "allow-any-audience": "true",
        "anonymous": "true", "roles": "roles.json", "token-leeway": "5s",
        "ticket-lifetime": "10s", "cookie-name": "token", "cors-origin": "https://a.example, http://b.example:1",
        "publish-origin": "*", "subscriptions": "true",
        "hook-url": "http://127.0.0.1:3000/hooks", "hook-topics": "sensors/{id} a", "hook-secret": "file:\(secretFile)",
        "hook-closed": "true", "hook-delay": "3s", "hook-timeout": "2s", "hook-queue": "7", "hook-age": "10m",
        "hook-tracked-topics": "11",
        "log-level": "debug", "log-format": "json", "access-log": "true",
    ]

    private static var values: HubSettings {
        var settings = HubSettings(descriptorLimit: 4096)
        settings.host = .interface("localhost")
        settings.port = 0
        settings.heartbeat = .milliseconds(500)
        settings.log = .sqlite(path: "hub.db")
        settings.durability = .os
        settings.historyEvents = 7
        settings.historyBytes = 1 << 30
        settings.historyAge = .seconds(7 * 86_400)
        settings.rememberedTopics = 8
        settings.stateKeys = 9
        settings.stateBytes = 1 << 20
        settings.latestTopics = ["prices/{id}", "a{?b,c}"]
        settings.skippedTopics = ["cursors/{id}", "b"]
        settings.rules = [.init(topics: "chat/{id}", events: 9, bytes: 1024, age: .seconds(3600))]
        settings.windowBytes = 65_536
        settings.maxConnections = 100
        settings.maxConnectionAge = .seconds(3600)
        settings.maxShardLag = 1 << 20
        settings.publishQueue = 5
        settings.publishTimeout = .seconds(1)
        settings.metricsPort = 9000
        settings.shards = 3
        settings.writeTimeout = .seconds(9)
        settings.idleTimeout = .seconds(8)
        settings.uploadTimeout = .seconds(7)
        settings.replayBudget = 4 << 20
        settings.maxTopicsPerSubscription = 6
        settings.clients.connectionsPerAddress = 5
        settings.clients.streamsPerPrincipal = 4
        settings.clients.streamsPerAddress = 3
        settings.clients.publishRatePerPrincipal = ClientRate(perSecond: 2, burst: 20)
        settings.clients.publishRatePerAddress = ClientRate(perSecond: 2, burst: 7)
        settings.clients.publishBytesPerPrincipal = ClientRate(perSecond: 1024, burst: 10_240)
        settings.clients.publishBytesPerAddress = ClientRate(perSecond: 1024, burst: 1 << 20)
        settings.clients.rememberedClients = 2000
        if let proxies = try? TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "unix"]) {
            settings.trustedProxies = proxies
        }
        settings.proxyProtocol = true
        settings.access.maxTickets = 9
        settings.access.maxTicketsPerPrincipal = 8
        settings.grace = .zero
        settings.demo = true
        settings.logLevel = .debug
        settings.logFormat = .json
        settings.accessLog = true
        settings.access.publisher = .init(
            key: SecretText(text: "a key\n"), algorithm: .hs384, audiences: ["hub"], issuers: ["https://a/"])
        settings.access.subscriber = .init(
            algorithm: .es256, set: "file:/keys.json", audiences: ["hub", "api://hub"],
            issuers: ["https://a/", "https://b/"])
        settings.access.allowsAnyAudience = true
        settings.access.anonymous = true
        settings.access.rolesFile = "roles.json"
        settings.access.leeway = .seconds(5)
        settings.access.ticketLifetime = .seconds(10)
        settings.access.cookieName = "token"
        settings.access.corsOrigins = ["https://a.example", "http://b.example:1"].compactMap { OriginPattern($0) }
        settings.access.publishOrigins = ["*"].compactMap { OriginPattern($0) }
        settings.access.subscriptions = true
        settings.hooks.url = "http://127.0.0.1:3000/hooks"
        settings.hooks.topics = ["sensors/{id}", "a"]
        settings.hooks.secret = SecretText(text: "the new secret of hooks\nthe old secret of hooks\n")
        settings.hooks.closed = true
        settings.hooks.limits.delay = .seconds(3)
        settings.hooks.limits.timeout = .seconds(2)
        settings.hooks.limits.queue = 7
        settings.hooks.limits.maximumAge = .seconds(600)
        settings.hooks.limits.trackedTopics = 11
        return settings
    }

    @Test("The defaults are the documented ones")
    func defaults() async throws {
        let settings = try await resolve()
        #expect(settings.host == .interface("127.0.0.1"))
        #expect(settings.port == 8080)
        #expect(settings.heartbeat == .seconds(15))
        #expect(settings.log == .memory)
        #expect(settings.durability == .commit)
        #expect(settings.historyEvents == nil)
        #expect(settings.log.retention == Retention(events: 100_000, bytes: 67_108_864, age: .seconds(86_400)))
        let kept = LogLocation.sqlite(path: "hub.db").retention
        #expect(kept == Retention(events: 1_000_000, bytes: 1_073_741_824, age: .seconds(7 * 86_400)))
        #expect(settings.rememberedTopics == 100_000)
        #expect(settings.stateKeys == 100_000)
        #expect(settings.stateBytes == 67_108_864)
        #expect(settings.latestTopics.isEmpty)
        #expect(settings.skippedTopics.isEmpty)
        #expect(settings.windowBytes == 33_554_432)
        #expect(settings.maxConnections == 4096 - 512)
        #expect(settings.maxConnectionAge == .seconds(86_400))
        #expect(settings.maxShardLag == nil)
        #expect(settings.publishQueue == 1000)
        #expect(settings.publishTimeout == .seconds(2))
        #expect(settings.metricsPort == nil)
        #expect(settings.maxTopicsPerSubscription == 1000)
        #expect(settings.clients == ClientLimits())
        #expect(settings.clients.rememberedClients == 100_000)
        #expect(settings.trustedProxies == .none && !settings.proxyProtocol)
        #expect(settings.access.maxTickets == 10_000 && settings.access.maxTicketsPerPrincipal == 1000)
        #expect(settings.grace == .seconds(8))
        #expect(!settings.demo)
        #expect(settings.logLevel == .info)
        #expect(settings.logFormat == .text)
        #expect(!settings.accessLog)
        #expect(settings.access == AccessSettings())
        #expect(settings.access.isOpen)
        #expect(
            settings.hooks == HookSettings() && settings.hooks.url == nil && !settings.hooks.closed
                && settings.hooks.topics == [.every])
        #expect(settings.hooks.limits.delay == .seconds(5) && settings.hooks.limits.timeout == .seconds(5))
        #expect(settings.hooks.limits.queue == 10_000 && settings.hooks.limits.maximumAge == .seconds(3600))
        #expect(settings.hooks.limits.trackedTopics == 100_000)
        #expect(settings.configFile == nil)
    }

    @Test("A descriptor limit below the spare ones leaves one connection, an unlimited one an integer's worth")
    func connectionDefaultAtTheEdges() {
        #expect(HubSettings(descriptorLimit: 0).maxConnections == 1)
        #expect(HubSettings(descriptorLimit: .max).maxConnections == Int(Int32.max))
    }

    @Test("Every setting is read from the command line")
    func commandLine() async throws {
        #expect(try await resolve(commandLine: Self.texts) == Self.values)
    }

    @Test("Every setting is read from the environment")
    func environment() async throws {
        let environment = Self.texts.map { name, text in
            ("MARTLET_" + name.uppercased().replacing("-", with: "_"), text)
        }
        #expect(try await resolve(environment: Dictionary(uniqueKeysWithValues: environment)) == Self.values)
    }

    @Test("Bounds for single topics are a table in the settings file, or its text elsewhere")
    func retentionTable() async throws {
        let table = #"[{"topics": "chat/{id}", "events": 1000, "age": 60}, {"topics": "*", "bytes": 4096}]"#
        let rules: RetentionRules = [
            .init(topics: "chat/{id}", events: 1000, age: .seconds(60)), .init(topics: "*", bytes: 4096),
        ]
        #expect(try await resolve(file: "{\"retention\": \(table)}").rules == rules)
        #expect(try await resolve(commandLine: ["retention": table]).rules == rules)
        #expect(try await resolve(file: #"{"retention": []}"#).rules == [])
    }

    @Test(
        "A malformed table of bounds is refused",
        arguments: [
            #"{"topics": "a", "events": 1}"#, #"["a"]"#, #"[{"topics": "a"}]"#, #"[{"events": 1}]"#,
            #"[{"topics": "", "events": 1}]"#, #"[{"topics": "chat/{id", "events": 1}]"#,
            #"[{"topics": "a", "events": 0}]"#, #"[{"topics": "a", "events": 1.5}]"#,
            #"[{"topics": "a", "age": "1y"}]"#, #"[{"topics": "a", "bytes": -1}]"#,
            #"[{"topics": "a", "events": 1, "evnets": 2}]"#, #"[{"topics": 5, "events": 1}]"#, "1", "true", "null",
        ])
    func malformedTable(table: String) async throws {
        let error = await #expect(throws: SettingsError.self) { try await resolve(file: "{\"retention\": \(table)}") }
        #expect(error?.description.contains("retention") == true)
    }

    @Test(
        "Bounds for single topics are refused for a log that nodes share",
        arguments: ["redis://localhost", "kafka://localhost/topic", "amqp://localhost/topic"])
    func sharedLog(log: String) async throws {
        var texts = ["log": log, "retention": #"[{"topics": "a", "events": 1}]"#]
        if log.hasPrefix("amqp") { (texts["node"], texts["store"]) = ("node-1", "sqlite:hub.db") }
        let error = await #expect(throws: SettingsError.self) { try await resolve(commandLine: texts) }
        #expect(error?.description.contains("middle of a shared history") == true)
    }

    @Test("Every setting is read from the settings file")
    func file() async throws {
        let members = Self.texts.map { "\"\($0)\": \($1.jsonQuoted)" }
        var settings = try await resolve(file: "{\(members.joined(separator: ","))}")
        #expect(settings.configFile != nil)
        settings.configFile = nil
        #expect(settings == Self.values)
    }

    @Test("There are no settings but these")
    func table() {
        let names = Self.texts.keys + Self.alternatives + ["config"]
        #expect(HubSettings.table.map(\.name).sorted() == names.sorted())
    }

    @Test(
        "The command line wins over the environment, that over the file, and that over the default",
        arguments: [
            (["port": "1"], ["MARTLET_PORT": "2"], #"{"port": 3}"#, 1),
            ([:], ["MARTLET_PORT": "2"], #"{"port": 3}"#, 2),
            ([:], [:], #"{"port": 3}"#, 3),
            ([:], [:], "{}", 8080),
        ] as [([String: String], [String: String], String, Int)]
    )
    func precedence(
        commandLine: [String: String],
        environment: [String: String],
        file: String,
        port: Int
    ) async throws {
        let settings = try await resolve(commandLine: commandLine, environment: environment, file: file)
        #expect(settings.port == port)
    }

    @Test(
        "A value is accepted up to the edges of its range and refused beyond them",
        arguments: [
            ("port", "0", "65535", "-1", "65536"),
            ("heartbeat", "100ms", "1h", "99ms", "3600001ms"),
            ("history-events", "1", "1000000000", "0", "1000000001"),
            ("history-bytes", "64KiB", "1TiB", "65535", "1099511627777"),
            ("history-age", "1s", "365d", "999ms", "31536000001ms"),
            ("remembered-topics", "1", "100000000", "0", "100000001"),
            ("state-keys", "1", "100000000", "0", "100000001"),
            ("state-bytes", "64KiB", "1TiB", "65535", "1099511627777"),
            ("window-bytes", "64KiB", "1TiB", "65535", "1099511627777"),
            ("max-connections", "1", "2147483647", "0", "2147483648"),
            ("grace", "0", "1h", "-1s", "3600001ms"),
            ("max-shard-lag", "64KiB", "1TiB", "65535", "1099511627777"),
            ("write-timeout", "1s", "1h", "999ms", "3600001ms"),
            ("idle-timeout", "1s", "1h", "999ms", "3600001ms"),
            ("upload-timeout", "1s", "1d", "999ms", "86400001ms"),
            ("replay-budget", "2MiB", "1TiB", "2097151", "1099511627777"),
            ("metrics-port", "0", "65535", "-1", "65536"),
            ("token-leeway", "0", "5m", "-1s", "300001ms"),
            ("ticket-lifetime", "1s", "1h", "999ms", "3600001ms"),
            ("max-tickets", "1", "10000000", "0", "10000001"),
            ("max-tickets-per-principal", "1", "10000000", "0", "10000001"),
            ("max-topics-per-subscription", "1", "100000", "0", "100001"),
            ("max-connections-per-address", "1", "1000000000", "0", "1000000001"),
            ("max-streams-per-principal", "1", "1000000000", "0", "1000000001"),
            ("max-streams-per-address", "1", "1000000000", "0", "1000000001"),
            ("remembered-clients", "1000", "100000000", "999", "100000001"),
            ("hook-delay", "0", "1h", "-1s", "3600001ms"),
            ("hook-timeout", "100ms", "5m", "99ms", "300001ms"),
            ("hook-queue", "1", "10000000", "0", "10000001"),
            ("hook-age", "1s", "30d", "999ms", "2592000001ms"),
            ("hook-tracked-topics", "1", "100000000", "0", "100000001"),
        ]
    )
    func range(name: String, lowest: String, highest: String, below: String, above: String) async throws {
        #expect(try await problem(commandLine: [name: lowest]) == nil)
        #expect(try await problem(commandLine: [name: highest]) == nil)
        for text in [below, above] {
            let message = try #require(try await problem(commandLine: [name: text]))
            #expect(message.hasPrefix("--\(name): \"\(text)\" is not a "))
        }
    }

    @Test("A bad value is reported with its source, what is expected and an example")
    func badValue() async throws {
        #expect(
            try await problem(commandLine: ["heartbeat": "1x"])
                == #"--heartbeat: "1x" is not a duration from 100ms to 1h; for example 15s"#
        )
        #expect(
            try await problem(environment: ["MARTLET_HISTORY_BYTES": ""])
                == #"MARTLET_HISTORY_BYTES: "" is not a size from 64KiB to 1TiB; for example 64MiB"#
        )
        #expect(
            try await problem(file: #"{"max-connections": 0.5}"#)
                == #"max-connections in hub.json: "0.5" is not a whole number from 1 to 2147483647; for example 10000"#
        )
        #expect(
            try await problem(environment: ["MARTLET_DEMO": "yes"])
                == #"MARTLET_DEMO: "yes" is not true or false; for example false"#
        )
        for text in ["", "sqlite", "sqlite:", "redis:localhost", "redis://", "Memory"] {
            #expect(
                try await problem(commandLine: ["log": text])
                    == #"--log: "\#(text)" is not memory, sqlite:PATH, redis://HOST:PORT/DATABASE?stream=NAME, "#
                    + "kafka://HOST:PORT/TOPIC?OPTION=VALUE (the options are partitions, map, encoding, state, and settings "
                    + "of librdkafka, which have a dot in their name), amqps://KEYNAME:KEY@HOST/TOPIC?OPTION=VALUE (auth, "
                    + "encoding, ca, target, source), or a connection string of Service Bus with EntityPath=TOPIC; for "
                    + "example memory"
            )
        }
        #expect(
            try await problem(commandLine: ["durability": "disk"])
                == #"--durability: "disk" is not commit or os; for example commit"#
        )
        #expect(
            try await problem(commandLine: ["log-level": "loud"])
                == #"--log-level: "loud" is not one of trace, debug, info, notice, warning, error, critical; "#
                + "for example info"
        )
    }

    @Test("A rate is a number in a second, and perhaps how many at once", arguments: ["principal", "address"])
    func rates(client: String) async throws {
        for text in ["1", "1:1", "1000000000:1000000000"] {
            #expect(try await problem(commandLine: ["publish-rate-per-\(client)": text]) == nil)
        }
        for text in ["1", "1KiB:1", "1TiB:1TiB"] {
            #expect(try await problem(commandLine: ["publish-bytes-per-\(client)": text]) == nil)
        }
        for text in ["", "0", "1:0", "-1", "1:", ":1", "1:2:3", "1/s", "1000000001", "1:1000000001", "1 : 2", "1KiB"] {
            let name = "publish-rate-per-\(client)"
            let message = try #require(try await problem(commandLine: [name: text]))
            #expect(message.hasPrefix("--\(name): \"\(text)\" is not a number of events from 1 to 1000000000"))
            #expect(message.hasSuffix("for example 10:50"))
        }
        for text in ["", "0", "1KiB:0", "1025GiB", "1KiB:1025GiB", "1 KB", "1:2:3"] {
            #expect(try await problem(commandLine: ["publish-bytes-per-\(client)": text]) != nil)
        }
    }

    @Test("Networks of proxies are read from a list, and the PROXY protocol needs some")
    func trustedProxies() async throws {
        for text in ["10.0.0.0/8", "192.0.2.1,::1", "unix", "0.0.0.0/0 ::/0"] {
            #expect(try await problem(commandLine: ["trusted-proxies": text]) == nil)
        }
        for text in ["", " ", "10.0.0.1/8", "10.0.0.0/33", "proxy.example", "10.0.0.0/8 nonsense", "unix:/a"] {
            let message = try #require(try await problem(commandLine: ["trusted-proxies": text]))
            #expect(message.contains("is not networks with spaces between them"))
        }
        let message = try await problem(commandLine: ["proxy-protocol": "true"])
        #expect(message == "proxy-protocol needs trusted-proxies: the networks of the proxies that send the header")
        let proxies = try await resolve(commandLine: ["trusted-proxies": "unix", "proxy-protocol": "true"]).proxies
        #expect(proxies.sendProxyHeader && proxies.places == ["unix"])
    }

    @Test("A host that others can reach is refused with what to do", arguments: ["0.0.0.0", "::", "example.org"])
    func openToOthers(host: String) async throws {
        let message = try #require(try await problem(environment: ["MARTLET_HOST": host]))
        #expect(message.contains(host))
        #expect(message.contains("set --host 127.0.0.1 and put a reverse proxy in front"))
        let keys = ["MARTLET_HOST": host, "MARTLET_PUBLISHER_KEY": "a", "MARTLET_SUBSCRIBER_KEY": "b"]
        #expect(try await problem(environment: keys) == nil)
    }

    @Test("A hub that only streams needs no publisher key, and may be open to other machines")
    func readOnly() async throws {
        #expect(try await resolve(commandLine: ["read-only": "true", "host": "0.0.0.0"]).access.readOnly)
        let keys = ["MARTLET_SUBSCRIBER_KEY": "a", "MARTLET_READ_ONLY": "true"]
        #expect(try await problem(environment: keys) == nil)
        let message = try await problem(commandLine: ["read-only": "true", "demo": "true"])
        #expect(message == "demo publishes, and read-only forbids it; leave one of them out")
    }

    @Test("Environment variables of no setting are listed")
    func unknownVariables() {
        let environment = ["MARTLET_PORT": "1", "MARTLET_POTR": "1", "MARTLET_": "1", "PATH": "/bin"]
        #expect(HubSettings.unknownVariables(in: environment) == ["MARTLET_", "MARTLET_POTR"])
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Martlet
import MartletAuth
import MartletHTTP
import MartletSQLite
import Testing

@testable import MartletCommand

@Suite("Settings")
struct HubSettingsTests {
    private static let keyFile: String = {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-settings-tests.key")
        _ = FileManager.default.createFile(atPath: place.path, contents: Data("a key\n".utf8))
        return place.path
    }()

    /// Settings that go with none of the others.
    private static let alternatives = ["publisher-jwks", "subscriber-key", "authorize-url", "read-only"]

    /// A text for each setting that differs from its default.
    private static let texts = [
        "host": "localhost", "port": "0", "heartbeat": "500ms", "log": "sqlite:hub.db", "durability": "os",
        "history-events": "7", "history-bytes": "1GiB",
        "history-age": "7d", "window-bytes": "65536", "max-connections": "100",
        "max-connection-age": "1h", "max-shard-lag": "1MiB", "publish-queue": "5", "publish-timeout": "1s",
        "metrics-port": "9000", "shards": "3", "write-timeout": "9s", "idle-timeout": "8s",
        "replay-budget": "4MiB",
        "grace": "0", "demo": "true",
        "publisher-key": "file:\(keyFile)", "publisher-alg": "HS384", "subscriber-jwks": "file:/keys.json",
        "subscriber-alg": "ES256", "publisher-audience": "hub", "publisher-issuer": "https://a/",
        "subscriber-audience": "hub, api://hub", "subscriber-issuer": "https://a/ https://b/",
        "allow-any-audience": "true",
        "anonymous": "true", "roles": "roles.json", "token-leeway": "5s",
        "ticket-lifetime": "10s", "cookie-name": "token", "cors-origin": "https://a.example, http://b.example:1",
        "publish-origin": "*", "subscriptions": "true",
        "log-level": "debug",
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
        settings.windowBytes = 65_536
        settings.maxConnections = 100
        settings.maxConnectionAge = .seconds(3600)
        settings.maxShardLag = 1 << 20
        settings.publishQueue = 5
        settings.publishTimeout = .seconds(1)
        settings.metricsPort = 9000
        settings.shards = 3
        settings.writeTimeout = .seconds(9)
        settings.idleTimeout = .seconds(20)
        settings.idleTimeout = .seconds(8)
        settings.replayBudget = 4 << 20
        settings.grace = .zero
        settings.demo = true
        settings.logLevel = .debug
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
        #expect(settings.windowBytes == 33_554_432)
        #expect(settings.maxConnections == 4096 - 512)
        #expect(settings.maxConnectionAge == .seconds(86_400))
        #expect(settings.maxShardLag == nil)
        #expect(settings.publishQueue == 1000)
        #expect(settings.publishTimeout == .seconds(2))
        #expect(settings.metricsPort == nil)
        #expect(settings.grace == .seconds(8))
        #expect(!settings.demo)
        #expect(settings.logLevel == .info)
        #expect(settings.access == AccessSettings())
        #expect(settings.access.isOpen)
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

    @Test("Every setting is read from the settings file")
    func file() async throws {
        let members = Self.texts.map { "\"\($0)\": \"\($1)\"" }
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
            ("window-bytes", "64KiB", "1TiB", "65535", "1099511627777"),
            ("max-connections", "1", "2147483647", "0", "2147483648"),
            ("grace", "0", "1h", "-1s", "3600001ms"),
            ("max-shard-lag", "64KiB", "1TiB", "65535", "1099511627777"),
            ("write-timeout", "1s", "1h", "999ms", "3600001ms"),
            ("idle-timeout", "1s", "1h", "999ms", "3600001ms"),
            ("replay-budget", "2MiB", "1TiB", "2097151", "1099511627777"),
            ("metrics-port", "0", "65535", "-1", "65536"),
            ("token-leeway", "0", "5m", "-1s", "300001ms"),
            ("ticket-lifetime", "1s", "1h", "999ms", "3600001ms"),
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
                    == #"--log: "\#(text)" is not memory, sqlite:PATH, redis://HOST:PORT/DATABASE?stream=NAME or "#
                    + "kafka://HOST:PORT/TOPIC?OPTION=VALUE (the options are partitions, map, encoding, and settings of "
                    + "librdkafka, which have a dot in their name); for example memory"
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

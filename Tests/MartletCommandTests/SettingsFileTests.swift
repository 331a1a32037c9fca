// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite("Settings file")
struct SettingsFileTests {
    @Test("Strings, numbers and booleans are accepted")
    func scalars() async throws {
        let settings = try await resolve(
            file: #"{"heartbeat": 20, "history-age": "48h", "history-bytes": 1048576, "demo": true}"#
        )
        #expect(settings.heartbeat == .seconds(20))
        #expect(settings.historyAge == .seconds(48 * 3600))
        #expect(settings.historyBytes == 1 << 20)
        #expect(settings.demo)
    }

    @Test("The file may be named in the environment")
    func namedInEnvironment() async throws {
        let message = try await problem(environment: ["MARTLET_CONFIG": "/missing.json"])
        #expect(message == #"settings file "/missing.json" does not exist; name a readable JSON file with --config"#)
    }

    @Test("A directory cannot be read")
    func directory() async throws {
        let message = try await problem(commandLine: ["config": "/"])
        #expect(message == #"settings file "/" cannot be read; name a readable JSON file with --config"#)
    }

    @Test("Anything but a JSON object is malformed", arguments: ["", "{", "[]", "8080", #"{"port" 1}"#, "port: 1"])
    func malformed(text: String) async throws {
        let message = try await problem(file: text)
        #expect(message == #"settings file "hub.json" is not a JSON object; write it like {"port": 8080}"#)
    }

    @Test("An unknown key is reported with the known ones", arguments: ["prot", "config", "history.events", "Port"])
    func unknownKey(key: String) async throws {
        #expect(
            try await problem(file: #"{"port": 1, "\#(key)": "1"}"#)
                == "unknown key \"\(key)\" in hub.json; use one of host, port, heartbeat, log, durability, history-events, "
                + "history-bytes, history-age, window-bytes, max-connections, max-connection-age, max-shard-lag, publish-queue, "
                + "publish-timeout, metrics-port, grace, shards, write-timeout, replay-budget, publisher-key, publisher-alg, publisher-jwks, "
                + "subscriber-key, subscriber-alg, subscriber-jwks, read-only, anonymous, roles, authorize-url, token-leeway, "
                + "ticket-lifetime, cookie-name, cors-origin, publish-origin, subscriptions, demo, log-level"
        )
    }

    @Test("Null, arrays and objects are no values", arguments: ["null", "[1]", #"{"a": 1}"#])
    func unfitValue(value: String) async throws {
        let message = try await problem(file: #"{"port": \#(value)}"#)
        #expect(message == "port in hub.json: give a string, a number, true or false")
    }
}

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
        let known = HubSettings.table.map(\.name).filter { $0 != "config" }.joined(separator: ", ")
        let message = try await problem(file: #"{"port": 1, "\#(key)": "1"}"#)
        #expect(message == "unknown key \"\(key)\" in hub.json; use one of \(known)")
    }

    @Test(
        "A key that occurs twice is refused with its name and its line",
        arguments: [
            ("{\"port\": 1,\n \"host\": \"a\",\n \"port\": 2}", "port", 3), (#"{"demo":true,"demo":true}"#, "demo", 1),
            ("{\"port\":1,\r\n\"p\\u006frt\":1}", "port", 2), ("{\n\n\"prot\":1,\n\"prot\":1}", "prot", 4),
        ]
    )
    func repeated(text: String, name: String, line: Int) async throws {
        let message = try await problem(file: text)
        #expect(message == "\"\(name)\" is in hub.json twice, the second time in line \(line); leave one out")
    }

    @Test("A number counts as a whole one however it is written", arguments: ["8081", "8081.0", "80.81e2", "\"8081\""])
    func numbers(text: String) async throws {
        #expect(try await resolve(file: "{\"port\": \(text)}").port == 8081)
    }

    @Test("A byte order mark is skipped")
    func byteOrderMark() async throws {
        #expect(try await resolve(file: "\u{FEFF}{\"port\": 8081}").port == 8081)
    }

    @Test("A key in another spelling is another key", arguments: ["port\u{301}", "\u{FF50}ort"])
    func spelling(key: String) async throws {
        #expect(try await problem(file: "{\"\(key)\": 1}")?.hasPrefix("unknown key ") == true)
    }

    @Test(
        "A value that is too large is refused without a trap",
        arguments: [
            ("history-bytes", "\"99999999999GiB\""), ("history-bytes", "9223372036854775808"),
            ("history-bytes", "1e300"),
            ("heartbeat", "\"9223372036854775807s\""), ("heartbeat", "9223372036854775807"), ("grace", "\"1e3s\""),
            ("port", "65536"), ("port", "-1"), ("port", "1.5"), ("port", "99999999999999999999"), ("shards", "1e999"),
            ("max-connections", "2147483648"), ("host", #""127.0.0.1\u0000.example.com""#), ("config", "1"),
        ]
    )
    func outOfRange(name: String, value: String) async throws {
        let message = try #require(try await problem(file: "{\"\(name)\": \(value)}"))
        #expect(message.contains("\(name)"))
    }

    @Test("Null, arrays and objects are no values", arguments: ["null", "[1]", #"{"a": 1}"#])
    func unfitValue(value: String) async throws {
        let message = try await problem(file: #"{"port": \#(value)}"#)
        #expect(message == "port in hub.json: give a string, a number, true or false")
    }
}

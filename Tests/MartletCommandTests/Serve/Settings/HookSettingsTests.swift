// SPDX-License-Identifier: Apache-2.0

import Foundation
import Martlet
import MartletHooks
import Testing

@testable import MartletCommand

@Suite("Settings of hooks")
struct HookSettingsTests {
    private static let url = "http://127.0.0.1:3000/hooks"

    private func problem(secret: String) async throws -> String? {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: place) }
        try Data(secret.utf8).write(to: place)
        return try await MartletCommandTests.problem(
            commandLine: ["hook-url": Self.url, "hook-secret": "file:\(place.path)"])
    }

    @Test("One to four secrets are accepted, one in each line")
    func secrets() async throws {
        let line = "0123456789abcdef"
        #expect(try await problem(secret: line) == nil)
        #expect(try await problem(secret: "\(line)\r\n\n\(line)\n") == nil)
        #expect(try await problem(secret: Array(repeating: line, count: 4).joined(separator: "\n")) == nil)
        let many = Array(repeating: line, count: 5).joined(separator: "\n")
        for text in ["", "\n", many] {
            let message = try #require(try await problem(secret: text))
            #expect(message.contains("hook-secret") && !message.contains(line))
        }
        let short = try #require(try await problem(secret: "\(line)\nshort-secret"))
        #expect(short.hasPrefix("hook-secret: ") && short.contains("12 bytes") && !short.contains("short-secret"))
    }

    @Test("The secret itself is refused on the command line, and accepted in the environment")
    func place() async throws {
        let secret = "0123456789abcdef"
        let message = try await MartletCommandTests.problem(commandLine: ["hook-url": Self.url, "hook-secret": secret])
        #expect(message?.contains("command line") == true && message?.contains(secret) == false)
        let settings = try await resolve(environment: ["MARTLET_HOOK_URL": Self.url, "MARTLET_HOOK_SECRET": secret])
        #expect(settings.hooks.secret == SecretText(text: secret))
        #expect("\(settings)".contains(secret) == false)
    }

    @Test("Without a URL, the topics and the secret are refused")
    func noURL() async throws {
        #expect(
            try await MartletCommandTests.problem(commandLine: ["hook-topics": "a"])
                == "hook-topics is set without hook-url; set hook-url too")
        #expect(
            try await MartletCommandTests.problem(environment: ["MARTLET_HOOK_SECRET": "0123456789abcdef"])
                == "hook-secret is set without hook-url; set hook-url too")
        #expect(try await resolve().hooks.configuration() == nil)
    }

    @Test(
        "A URL that no request can go to is refused", arguments: ["", "file:/x", "http://u:p@a/", "http://a:0/", "a"])
    func badURL(url: String) async throws {
        let message = try await MartletCommandTests.problem(commandLine: ["hook-url": url])
        #expect(message?.hasPrefix("--hook-url: ") == true && message?.contains("u:p") != true)
    }

    @Test("Hooks without a signature, and nodes that know nothing of each other, are warned of")
    func warnings() async throws {
        let settings = try await resolve(commandLine: ["hook-url": Self.url])
        #expect(settings.warnings(commandLine: [:], environment: [:]).contains { $0.contains("not signed") })
        let signed = try await resolve(
            environment: ["MARTLET_HOOK_URL": Self.url, "MARTLET_HOOK_SECRET": "0123456789abcdef"])
        #expect(signed.warnings(commandLine: [:], environment: [:]) == [])
        #if Kafka
        var shared = signed
        shared.log = try #require(LogLocation("kafka://127.0.0.1:9092/events"))
        #expect(shared.warnings(commandLine: [:], environment: [:]) == [])
        shared.access.readOnly = true
        #expect(shared.warnings(commandLine: [:], environment: [:]).contains { $0.contains("for its own streams") })
        #endif
    }
}

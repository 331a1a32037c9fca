// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletAuth
import MartletHTTP
import Testing

@testable import MartletCommand

@Suite("Access settings")
struct AccessSettingsTests {
    private static let keys = ["MARTLET_PUBLISHER_KEY": "p-secret", "MARTLET_SUBSCRIBER_KEY": "s-secret"]

    @Test("A key comes from the environment or from a file, and never from the command line")
    func keys() async throws {
        let settings = try await resolve(environment: Self.keys)
        #expect(settings.access.publisher.key == Secret(text: "p-secret"))
        #expect(settings.access.subscriber.key == Secret(text: "s-secret"))
        let message = try #require(try await problem(commandLine: ["publisher-key": "p-secret"]))
        #expect(
            message
                == "--publisher-key: others can see what is on a command line; put the key into a file and write file:PATH"
        )
        let missing = try #require(try await problem(commandLine: ["publisher-key": "file:/nowhere/key"]))
        #expect(missing == #"--publisher-key: the file "/nowhere/key" cannot be read as text"#)
    }

    @Test("A key is never shown")
    func secrets() async throws {
        let settings = try await resolve(environment: Self.keys)
        var dumped = ""
        dump(settings, to: &dumped)
        for text in [dumped, "\(settings)", String(reflecting: settings)] { #expect(!text.contains("-secret")) }
        let empty = try #require(try await problem(environment: ["MARTLET_PUBLISHER_KEY": ""]))
        #expect(empty.hasPrefix("MARTLET_PUBLISHER_KEY: what is there is not a key"))
    }

    @Test(
        "Settings that contradict each other are refused with what to do",
        arguments: [
            (["publisher-key": "a", "publisher-jwks": "file:k", "anonymous": "true"], "set one of them"),
            (["publisher-alg": "HS256"], "set publisher-key or publisher-jwks too"),
            (["publisher-key": "a"], "set it, subscriber-jwks or anonymous"),
            (["subscriber-key": "a"], "set it, or publisher-jwks"),
            (["roles": "r.json"], "set publisher-key and subscriber-key"),
            (["publish-origin": "*"], "set publisher-key and subscriber-key"),
            (["authorize-url": "http://a", "publisher-key": "a", "subscriber-key": "a"], "leave out the keys"),
            (["authorize-url": "http://a", "anonymous": "true"], "leave out the keys"),
        ] as [([String: String], String)]
    )
    func contradictions(settings: [String: String], advice: String) async throws {
        let members = settings.map { "\"\($0)\": \"\($1)\"" }.joined(separator: ",")
        #expect(try #require(try await problem(file: "{\(members)}")).contains(advice))
    }

    @Test("What can go together does")
    func combinations() async throws {
        for settings in [
            ["publisher-key": "a", "anonymous": "true"], ["publisher-jwks": "https://a", "subscriber-key": "b"],
            ["authorize-url": "http://a"], ["anonymous": "true"],
        ] {
            let members = settings.map { "\"\($0)\": \"\($1)\"" }.joined(separator: ",")
            #expect(try await problem(file: "{\(members)}") == nil)
        }
    }

    @Test(
        "Malformed values are refused",
        arguments: [
            ("publisher-alg", "none"), ("publisher-alg", "hs256"), ("publisher-jwks", "https://"),
            ("publisher-jwks", "/keys.json"), ("authorize-url", "file:/x"), ("cookie-name", "a b"), ("cookie-name", ""),
            ("cors-origin", "https://a.example/"), ("cors-origin", ""), ("publish-origin", "a.example"),
        ]
    )
    func malformed(name: String, text: String) async throws {
        #expect(try #require(try await problem(commandLine: [name: text])).hasPrefix("--\(name): "))
    }

    @Test("The variables of the reference hub count, behind the hub's own")
    func referenceHub() async throws {
        let environment = [
            "MERCURE_PUBLISHER_JWT_KEY": "p", "MERCURE_PUBLISHER_JWT_ALG": "HS512",
            "MERCURE_SUBSCRIBER_JWT_KEY": "s", "MERCURE_SUBSCRIBER_JWT_ALG": "",
            "MERCURE_EXTRA_DIRECTIVES": """
            # what the image is configured with
            anonymous
            cors_origins https://a.example https://b.example
            subscriptions
            heartbeat 20s
            demo
            """,
        ]
        let settings = try await resolve(environment: environment)
        #expect(settings.access.publisher == .init(key: Secret(text: "p"), algorithm: .hs512))
        #expect(settings.access.subscriber == .init(key: Secret(text: "s")))
        #expect(settings.access.anonymous && settings.access.subscriptions)
        #expect(settings.access.corsOrigins.map(\.text) == ["https://a.example", "https://b.example"])
        #expect(settings.heartbeat == .seconds(20))
        #expect(ReferenceEnvironment.read(environment).ignored == ["demo"])

        let own = try await resolve(environment: environment.merging(["MARTLET_PUBLISHER_KEY": "own"]) { $1 })
        #expect(own.access.publisher.key == Secret(text: "own"))
        let bad = try await problem(environment: ["MERCURE_EXTRA_DIRECTIVES": "heartbeat 1x"])
        #expect(bad?.hasPrefix(#"heartbeat in MERCURE_EXTRA_DIRECTIVES: "1x" is not a duration"#) == true)
    }
}

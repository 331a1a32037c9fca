// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
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
        #expect(settings.access.publisher.key == SecretText(text: "p-secret"))
        #expect(settings.access.subscriber.key == SecretText(text: "s-secret"))
        let message = try #require(try await problem(commandLine: ["publisher-key": "p-secret"]))
        #expect(
            message
                == "--publisher-key: other users can see the command line; put the key into a file and write file:PATH"
        )
        let missing = try #require(try await problem(commandLine: ["publisher-key": "file:/nowhere/key"]))
        #expect(missing == #"--publisher-key: the file "/nowhere/key" cannot be read"#)
    }

    @Test("A key is never shown")
    func secrets() async throws {
        let settings = try await resolve(environment: Self.keys)
        var dumped = ""
        dump(settings, to: &dumped)
        for text in [dumped, "\(settings)", String(reflecting: settings)] { #expect(!text.contains("-secret")) }
        let empty = try #require(try await problem(environment: ["MARTLET_PUBLISHER_KEY": ""]))
        #expect(empty.hasPrefix("MARTLET_PUBLISHER_KEY: the value is not a key"))
    }

    @Test(
        "Settings that contradict each other are refused with what to do",
        arguments: [
            (["publisher-key": "a", "publisher-jwks": "file:k", "anonymous": "true"], "set one of them"),
            (["publisher-alg": "HS256"], "set publisher-key or publisher-jwks too"),
            (["publisher-audience": "a"], "publisher-audience is set without a key"),
            (["subscriber-issuer": "a"], "subscriber-issuer is set without a key"),
            (["authorize-url": "http://a", "subscriber-audience": "a"], "subscriber-audience is set without a key"),
            (["publisher-jwks": "https://a", "anonymous": "true"], "set publisher-audience to the aud"),
            (["publisher-jwks": "file:k", "anonymous": "true", "publisher-issuer": "a"], "or allow-any-audience"),
            (
                ["publisher-jwks": "https://a", "publisher-audience": "a", "subscriber-jwks": "https://a"],
                "set subscriber-audience to the aud"
            ),
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

    @Test("Events that fit into one batch go together")
    func combinations() async throws {
        for settings in [
            ["publisher-key": "a", "anonymous": "true"],
            ["publisher-key": "a", "publisher-audience": "a", "anonymous": "true"],
            ["publisher-jwks": "https://a", "publisher-audience": "a", "subscriber-key": "b"],
            ["publisher-jwks": "https://a", "allow-any-audience": "true", "subscriber-key": "b"],
            [
                "publisher-jwks": "https://a", "publisher-audience": "a", "subscriber-jwks": "https://a",
                "allow-any-audience": "true",
            ],
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
            ("publisher-jwks", "/keys.json"), ("publisher-jwks", "file:"), ("publisher-jwks", "file:/k\u{0}"),
            ("authorize-url", "file:/x"),
            ("publisher-audience", ""), ("subscriber-issuer", " , "), ("publisher-jwks", "http://127.0.0.1:65536/k"),
            ("subscriber-jwks", "https://a.example:99999/k"), ("publisher-jwks", "https://\u{301}a.example/"),
            ("authorize-url", "http://a.example:0/"), ("authorize-url", "http://user@a.example/"),
            ("authorize-url", "http://a.example/ b"), ("authorize-url", "http:///b"),
            ("authorize-url", "http://[fe80::1%25e]/"),
            ("authorize-url", "http://a.example/\u{E9}"), ("authorize-url", "http://a.example:-1/"),
            ("cookie-name", "a b"), ("cookie-name", ""),
            ("cors-origin", "https://a.example/"), ("cors-origin", ""), ("publish-origin", "a.example"),
            ("cors-origin", "https://a:b:c"), ("cors-origin", "https://a.example https://a:99999"),
            ("publish-origin", "https://user@a.example"), ("publish-origin", "https://a:0"), ("cors-origin", "* nul"),
        ]
    )
    func malformed(name: String, text: String) async throws {
        #expect(try #require(try await problem(commandLine: [name: text])).hasPrefix("--\(name): "))
    }

    @Test("Audiences and issuers are lists, from wherever they come")
    func audiences() async throws {
        let settings = try await resolve(
            commandLine: ["publisher-audience": "https://hub.example.com, api://hub"],
            environment: Self.keys.merging(["MARTLET_PUBLISHER_ISSUER": "https://a/ https://b/"]) { $1 },
            file: #"{"subscriber-audience": "hub\nother", "subscriber-issuer": "https://c/"}"#)
        #expect(settings.access.publisher.audiences == ["https://hub.example.com", "api://hub"])
        #expect(settings.access.publisher.issuers == ["https://a/", "https://b/"])
        #expect(settings.access.subscriber.audiences == ["hub", "other"])
        #expect(settings.access.subscriber.issuers == ["https://c/"])
        #expect(!settings.access.allowsAnyAudience)
    }

    @Test("A URL that cannot be asked is shown without its password")
    func passwords() async throws {
        for url in ["http://user:sesame@a.example/", "http://\u{301}user:sesame@a.example/"] {
            let message = try #require(try await problem(commandLine: ["authorize-url": url]))
            #expect(message.hasPrefix("--authorize-url: "))
            #expect(!message.contains("sesame"))
        }
    }

    @Test(
        "A key that is none is refused at the start, with the name of its setting and without the key",
        arguments: [
            "https://login.example.com/.well-known/jwks.json", "/run/secrets/publisher-public-key.pem",
            "!ChangeThisMercureHubJWTSecretKey!", "${MERCURE_PUBLISHER_JWT_KEY_FROM_VAULT}",
            "-----BEGIN PUBLIC KEY-----",
        ])
    func keysThatAreNone(text: String) async throws {
        for place in [nil, FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID())").path()] {
            defer { if let place { try? FileManager.default.removeItem(atPath: place) } }
            if let place { try text.write(toFile: place, atomically: true, encoding: .utf8) }
            let key = place.map { "file:\($0)" } ?? text
            let settings = try await resolve(environment: ["MARTLET_PUBLISHER_KEY": key, "MARTLET_ANONYMOUS": "true"])
            let error = await #expect(throws: SettingsError.self) {
                try await HubAccess(settings.access, logger: Logger(label: "test"))
            }
            #expect(error?.description.hasPrefix("publisher-key: The ") == true)
            #expect(error?.description.contains(text) == false)
        }
    }

    @Test("A key with line ends written as \\n is the key")
    func escapedKeys() async throws {
        let pem = """
            -----BEGIN PUBLIC KEY-----
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/5K4mds3ZhZuA/ZB2bTXi2Ca/rqK
            n6VH00Y6w6/Lr9AhtdHHm7J/89S88HO89sFYRFaFZyyHjfE7r+ZSZ3uTSg==
            -----END PUBLIC KEY-----
            """
        let key = pem.replacing("\n", with: #"\n"#)
        for alg in ["ES256", "HS256"] {
            let settings = try await resolve(
                environment: [
                    "MARTLET_SUBSCRIBER_KEY": key, "MARTLET_SUBSCRIBER_ALG": alg, "MARTLET_READ_ONLY": "true",
                ])
            let access = try? await HubAccess(settings.access, logger: Logger(label: "test"))
            #expect((access != nil) == (alg == "ES256"))
        }
    }

    @Test("A file that names a key has a bound, and is text")
    func keyFiles() async throws {
        let place = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID())").path()
        defer { try? FileManager.default.removeItem(atPath: place) }
        func problem(_ bytes: Data) async throws -> String? {
            try bytes.write(to: URL(filePath: place))
            return try await MartletCommandTests.problem(
                commandLine: ["publisher-key": "file:\(place)", "anonymous": "true"])
        }
        let longest = Data(repeating: 0x61, count: BoundedFile.longestSecret)
        #expect(try await problem(longest) == nil)
        #expect(try #require(try await problem(longest + [0x61])).hasSuffix("is longer than 65536 bytes"))
        #expect(try #require(try await problem(Data([0x30, 0x82, 0x01, 0xFF]))).contains("is not text"))
        for path in ["/dev/zero", "/tmp", "\(place)\u{0}"] {
            let key = ["publisher-key": "file:\(path)", "anonymous": "true"]
            #expect(try await MartletCommandTests.problem(commandLine: key) != nil)
        }
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
        #expect(settings.access.publisher == .init(key: SecretText(text: "p"), algorithm: .hs512))
        #expect(settings.access.subscriber == .init(key: SecretText(text: "s")))
        #expect(settings.access.anonymous && settings.access.subscriptions)
        #expect(settings.access.corsOrigins.map(\.text) == ["https://a.example", "https://b.example"])
        #expect(settings.heartbeat == .seconds(20))
        #expect(ReferenceEnvironment.read(environment).ignored == ["demo"])

        let own = try await resolve(environment: environment.merging(["MARTLET_PUBLISHER_KEY": "own"]) { $1 })
        #expect(own.access.publisher.key == SecretText(text: "own"))
        let bad = try await problem(environment: ["MERCURE_EXTRA_DIRECTIVES": "heartbeat 1x"])
        #expect(bad?.hasPrefix(#"heartbeat in MERCURE_EXTRA_DIRECTIVES: "1x" is not a duration"#) == true)
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import MartletAuth
import MartletHTTP
import Testing

@testable import MartletCommand

@Suite struct InspectTokenCommandTests {
    private let now = Date(timeIntervalSince1970: 1_767_323_045)
    private let environment = [
        "KEY": "a secret that is long enough for the algorithm HS256",
        "OTHER": "another secret that is long enough for the algorithm",
    ]

    private func report(_ claims: String, _ arguments: String..., prefix: String = "") async throws -> TokenReport {
        let token = try await TokenSigner(text: environment["KEY"] ?? "")
            .token(claiming: try JSONValue(parsing: claims.utf8), keyID: "one")
        return try await report(on: prefix + token, arguments)
    }

    private func report(on token: String, _ arguments: [String] = []) async throws -> TokenReport {
        let command = try #require(
            try RootCommand.parseAsRoot(["token", "inspect"] + arguments) as? InspectTokenCommand)
        return try await command.report(on: token, environment: environment, now: now)
    }

    @Test("A report says what the token grants, and until when")
    func reportSaysWhatTheToken() async throws {
        let report = try await report(
            """
            {"sub":"alice","exp":1767326645,"nbf":1767323044,"mercure":{"publish":["orders/{id}","*"],
             "subscribe":["orders/*"],"payload":{"n":1}}}
            """, "--key-env", "KEY", prefix: " Bearer ")
        #expect(!report.isRefused)
        #expect(
            report.text == """
                Signed with HS256
                Key         "one"
                Subject     "alice"
                Not before  2026-01-02T03:04:04Z, 1 second ago
                Expires     2026-01-02T04:04:05Z, in 1 hour
                Publish     "orders/{id}", the topics that match the template
                            "*", every topic
                Subscribe   "orders/*", this topic and no other. Warning: A * is no wildcard here. Write orders/{id} for a \
                template, or * alone for every topic.
                Payload     {"n":1}
                Good        signature and times
                """)
    }

    @Test("Without a key the signature is not checked, and the report says so")
    func withoutAKeyTheSignature() async throws {
        let report = try await report("{}")
        #expect(!report.isRefused)
        #expect(report.text.contains("Expires     never"))
        #expect(report.text.contains("Publish     nothing: no array mercure.publish"))
        #expect(report.text.contains("not checked"))
    }

    @Test(
        "A report says why a hub refuses the token",
        arguments: [
            (#"{"exp":1767322985}"#, "KEY", "expired at 2026-01-02T03:03:05Z"), ("{}", "OTHER", "signature"),
            (#"{"nbf":1767326645}"#, "KEY", "not valid before"), (#"{"mercure":{"publish":"*"}}"#, "KEY", "array"),
        ])
    func reportSaysWhyAHub(claims: String, key: String, reason: String) async throws {
        let report = try await report(claims, "--key-env", key)
        #expect(report.isRefused)
        #expect(report.text.split(separator: "\n").last?.contains(reason) == true)
    }

    @Test("An audience and an issuer are shown, and checked where they are given")
    func audienceAndAnIssuer() async throws {
        let claims = #"{"aud":["hub","\u001bother"],"iss":"https://login.example.com/"}"#
        let good = try await report(
            claims, "--key-env", "KEY", "--audience", "x", "--audience", "hub", "--issuer", "https://login.example.com/"
        )
        #expect(!good.isRefused)
        #expect(good.text.contains(#"Audience    "hub", "\u{1b}other""#))
        #expect(good.text.contains(#"Issuer      "https://login.example.com/""#))
        #expect(good.text.contains("Good        signature, times, audience and issuer"))
        for (option, claim) in [("--audience", "aud"), ("--issuer", "iss")] {
            let refused = try await report(claims, option, "y")
            #expect(refused.isRefused)
            #expect(refused.text.split(separator: "\n").last?.contains(claim) == true)
        }
        #expect(try await report(#"{"nonce":"n"}"#).text.contains("ID token"))
    }

    @Test("Another algorithm than the key's is refused")
    func anotherAlgorithmThanTheKey() async throws {
        let report = try await report("{}", "--key-env", "OTHER", "--alg", "HS384")
        #expect(report.text.contains("algorithm not allowed"))
    }

    @Test("Text that is not a token is refused", arguments: ["", "x", "a.b.c", "e30.e30.e30"])
    func whatIsNoToken(text: String) async throws {
        let report = try await report(on: text)
        #expect(report.isRefused)
        #expect(report.text.contains("Refused"))
    }

    @Test("Nothing in a token writes to the terminal other than text")
    func nothingInATokenWrites() async throws {
        let report = try await report(
            #"{"sub":"\u001b[2J\nGood","mercure":{"publish":["a\u001b[2Jb*","\u202e\u2028"],"payload":"\u009b2J"}}"#)
        let kinds: [Unicode.GeneralCategory] = [.control, .format, .lineSeparator]
        #expect(
            report.text.unicodeScalars.allSatisfy { $0 == "\n" || !kinds.contains($0.properties.generalCategory) })
        #expect(report.text.contains(#"a\u{1b}[2Jb*"#))
        #expect(report.text.split(separator: "\n").filter { $0.hasPrefix("Good") }.count == 1)
    }

    @Test(
        "A time is also said from now",
        arguments: [
            (0, "in 0 seconds"), (1, "in 1 second"), (-1, "1 second ago"), (59, "in 59 seconds"), (60, "in 1 minute"),
            (3600, "in 1 hour"), (-7200, "2 hours ago"), (86_400, "in 1 day"), (-864_000, "10 days ago"),
        ])
    func timeIsAlsoSaid(seconds: Int, text: String) {
        #expect(TokenReport.time(now.addingTimeInterval(Double(seconds)), now: now).hasSuffix(", " + text))
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import MartletAuth
import MartletHTTP
import Testing

@testable import MartletCommand

@Suite struct MakeTokenCommandTests {
    private let now = Date(timeIntervalSince1970: 1_767_323_045)
    private let environment = ["KEY": "a secret that is long enough for the algorithm HS256"]

    private func command(_ arguments: String...) throws -> MakeTokenCommand {
        try #require(try RootCommand.parseAsRoot(["token", "--key-env", "KEY"] + arguments) as? MakeTokenCommand)
    }

    private func verified(_ command: MakeTokenCommand) async throws -> VerifiedToken {
        let token = try await command.token(environment: environment, now: now)
        let now = now
        return try await TokenVerifier(keys: try TokenKeys(text: environment["KEY"] ?? ""), audience: .any) { now }
            .verify(token)
    }

    @Test("A token grants what the options say")
    func tokenGrantsWhatTheOptions() async throws {
        let token = try await verified(
            command(
                "--publish", "orders/{id}", "--publish", "news", "--subscribe", "*", "--subject", "alice", "--for",
                "2m",
                "--payload", #"{"n":1.0}"#))
        #expect(token.subject == "alice")
        #expect(token.expiry == now.addingTimeInterval(120))
        #expect(token.mercure?.publish == ["orders/{id}", "news"])
        #expect(token.mercure?.subscribe == ["*"])
        #expect(token.mercure?.payload?.text == #"{"n":1.0}"#)
    }

    @Test("A token without options grants nothing for an hour")
    func tokenWithoutOptionsGrantsNothing() async throws {
        let token = try await verified(command())
        #expect(token.mercure == MercureClaim())
        #expect(token.subject == nil)
        #expect(token.expiry == now.addingTimeInterval(3600))
        #expect(token.claims["aud"] == nil && token.claims["iss"] == nil)
    }

    @Test("A token says whom it is for, and who made it")
    func tokenSaysWhom() async throws {
        let one = try await verified(command("--audience", "hub", "--issuer", "me"))
        #expect(one.claims["aud"] == .string("hub"))
        #expect(one.claims["iss"] == .string("me"))
        let two = try await verified(command("--audience", "hub", "--audience", "other"))
        #expect(two.claims["aud"] == .array([.string("hub"), .string("other")]))
    }

    @Test("The key may be in a file, and its last line end does not count")
    func keyMay() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID()).key").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "\(environment["KEY"] ?? "")\n".write(toFile: path, atomically: true, encoding: .utf8)
        let command = try #require(
            try RootCommand.parseAsRoot(["token", "make", "--key-file", path]) as? MakeTokenCommand)
        _ = try await verified(command)
    }

    @Test("A selector that is not what it looks like is warned of")
    func selectorThat() throws {
        let command = try command(
            "--publish", "orders/*", "--publish", "*", "--publish", "orders/{id}", "--subscribe", "a/**/b*",
            "--subscribe", "orders/{id", "--subscribe", "news", "--subscribe", "list{/path*}")
        let warnings = command.warnings
        #expect(warnings.count == 3)
        #expect(warnings[0].contains("--publish orders/*:"))
        #expect(warnings[0].contains("orders/{id} "))
        #expect(warnings[1].contains("a/{+rest}/b{id2} "))
        #expect(warnings[2].contains("orders/{id:"))
    }

    @Test(
        "Bad options are usage errors",
        arguments: [
            (["--alg", "none"], 2), (["--alg", "hs256"], 2), (["--for", "0"], 2), (["--for", "soon"], 2),
            (["--payload", "{"], 2), (["--key-file", "x"], 2), (["extra"], 2),
        ] as [([String], Int32)])
    func badOptionsAreUsageErrors(arguments: [String], exitCode: Int32) throws {
        let error = #expect(throws: (any Error).self) {
            try RootCommand.parseAsRoot(["token", "--key-env", "KEY"] + arguments)
        }
        #expect(Outcome(of: try #require(error)).exitCode == exitCode)
    }

    @Test(
        "A key that cannot be used is a configuration error, and is not printed",
        arguments: [
            (["--key-env", "MISSING"], "no variable MISSING"), ([], "--key-file or --key-env"),
            (["--key-file", "/nowhere/key"], #""/nowhere/key" cannot be read"#),
            (["--key-env", "SHORT"], "32 or more"),
            (["--key-env", "KEY", "--alg", "RS256"], "not a key for RS256"),
            (["--key-env", "KEY", "--alg", "HS512"], "64 or more"), (["--key-env", "SHORT"], "--key-env: "),
            (["--key-env", "PLACE"], "--key-env: The key looks like the path of a file"),
        ] as [([String], String)])
    func keyThatCannotBeUsed(
        arguments: [String], message: String
    ) async throws {
        let command = try #require(try RootCommand.parseAsRoot(["token"] + arguments) as? MakeTokenCommand)
        let environment = environment.merging(["SHORT": "sesame", "PLACE": "/run/secrets/sesame-open-the-hub.pem"]) {
            $1
        }
        let error = await #expect(throws: SettingsError.self) {
            try await command.token(environment: environment, now: now)
        }
        #expect(error?.description.contains(message) == true)
        #expect(error?.description.contains("sesame") == false)
        #expect(error?.description.contains("a secret that is long") == false)
    }
}

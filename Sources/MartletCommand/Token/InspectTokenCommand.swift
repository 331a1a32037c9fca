// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import MartletAuth
import MartletSupport

/// `martlet token inspect`: shows what a token contains, and why a hub would refuse it.
struct InspectTokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what a token grants, and why a hub would refuse it.",
        usage: """
            martlet token inspect [<token>] [--key-file <file> | --key-env <name>] [--alg <algorithm>] \
            [--audience <name>] [--issuer <name>]
            """,
        discussion: """
            With a key (the secret, the public key or the certificate of the hub), the signature is checked. Give the \
            audiences and issuers of the hub to check those, too. The exit code is 0 for a good token, and 1 for one \
            that a hub refuses.
            """
    )

    @Argument(help: "The token; - or nothing reads standard input, which keeps it out of the shell's history.")
    var token = "-"

    @OptionGroup var key: KeyOptions

    @Option(help: ArgumentHelp("An audience (aud) that the hub accepts; repeatable.", valueName: "name"))
    var audience: [String] = []

    @Option(help: ArgumentHelp("An issuer (iss) that the hub accepts; repeatable.", valueName: "name"))
    var issuer: [String] = []

    func run() async throws {
        let text = token == "-" ? String(decoding: Self.standardInput(), as: UTF8.self) : token
        let report = try await report(on: text, environment: ProcessInfo.processInfo.environment, now: Date())
        print(report.text)
        if report.isRefused { throw Refused() }
    }

    /// - Throws: ``SettingsError`` if the key is unusable.
    func report(on text: String, environment: [String: String], now: Date) async throws -> TokenReport {
        var keys: TokenKeys?
        if let text = try key.text(environment: environment) {
            do { keys = try await TokenKeys(text: text, algorithm: key.algorithm) } catch let error as KeyError {
                throw self.key.error(error)
            }
        }
        var token = text.trimmingCharacters(in: .whitespacesAndNewlines)  // characters: any white space
        if token.asciiLowercased.startsExactly(with: "bearer ") { token = String(token.utf8.dropFirst(7)) ?? "" }
        let inspected = try await InspectedToken(
            token, keys: keys, audience: ClaimRule(audience), issuer: ClaimRule(issuer), now: now)
        let checks = [
            (keys != nil, "signature"), (true, "times"), (!audience.isEmpty, "audience"), (!issuer.isEmpty, "issuer"),
        ]
        return TokenReport(inspected, checked: checks.filter(\.0).map(\.1), now: now)
    }

    /// More than the longest token, so that a longer one is refused for its length.
    private static func standardInput() -> Data {
        (try? FileHandle.standardInput.read(upToCount: 2 * TokenVerifier.maximumTokenBytes)) ?? Data()
    }

    private struct Refused: Error, CustomStringConvertible {
        let description = "a hub refuses this token"
    }
}

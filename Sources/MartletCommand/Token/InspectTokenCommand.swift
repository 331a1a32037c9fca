// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import MartletAuth

/// `martlet token inspect`: says what is in a token, and why a hub would refuse it.
struct InspectTokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Say what a token grants, and why a hub would refuse it.",
        usage: "martlet token inspect [<token>] [--key-file <file> | --key-env <name>] [--alg <algorithm>]",
        discussion: """
            The signature is checked where a key is given: the secret, the public key or the certificate of the hub. The \
            exit code is 0 for a token that is good, and 1 for one that is refused.
            """
    )

    @Argument(help: "The token; - or nothing for standard input, so that it is not in the shell's history.")
    var token = "-"

    @OptionGroup var key: KeyOptions

    func run() async throws {
        let text = token == "-" ? String(decoding: Self.standardInput(), as: UTF8.self) : token
        let report = try await report(on: text, environment: ProcessInfo.processInfo.environment, now: Date())
        print(report.text)
        if report.isRefused { throw Refused() }
    }

    /// - Throws: ``SettingsError`` where the key cannot be used.
    func report(on text: String, environment: [String: String], now: Date) async throws -> TokenReport {
        var keys: TokenKeys?
        if let text = try key.text(environment: environment) {
            do { keys = try await TokenKeys(text: text, algorithm: key.algorithm) } catch let error as KeyError {
                throw SettingsError("\(error)")
            }
        }
        var token = text.trimmingCharacters(in: .whitespacesAndNewlines)
        if token.lowercased().hasPrefix("bearer ") { token = String(token.dropFirst(7)) }
        return TokenReport(try await InspectedToken(token, keys: keys, now: now), isVerified: keys != nil, now: now)
    }

    /// A little more than the longest token, so that what is longer is refused as such.
    private static func standardInput() -> Data {
        (try? FileHandle.standardInput.read(upToCount: 2 * TokenVerifier.maximumTokenBytes)) ?? Data()
    }

    private struct Refused: Error, CustomStringConvertible {
        let description = "a hub refuses this token"
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import MartletAuth

/// Where a key is read from. It is never on the command line, which other users of the machine can see.
struct KeyOptions: ParsableArguments {
    @Option(help: ArgumentHelp("File with the key: a secret, or PEM.", valueName: "file"))
    var keyFile: String?

    @Option(help: ArgumentHelp("Environment variable with the key: a secret, or PEM.", valueName: "name"))
    var keyEnv: String?

    @Option(
        name: .customLong("alg"),
        help: ArgumentHelp(
            "How tokens are signed: \(TokenAlgorithm.allCases.map(\.rawValue).joined(separator: ", ")). "
                + "Default: HS256 with a secret, RS256 with an RSA key, else the one that the key is for.",
            valueName: "algorithm"),
        transform: algorithm)
    var algorithm: TokenAlgorithm?

    func validate() throws {
        if keyFile != nil, keyEnv != nil { throw ValidationError("Give --key-file or --key-env, not both") }
    }

    /// The text of the key; `nil` where none is named.
    ///
    /// - Throws: ``SettingsError`` where it cannot be read.
    func text(environment: [String: String]) throws(SettingsError) -> String? {
        if let keyEnv {
            guard let text = environment[keyEnv] else {
                throw SettingsError("--key-env: the environment has no variable \(keyEnv)")
            }
            return text
        }
        guard let keyFile else { return nil }
        guard let data = FileManager.default.contents(atPath: keyFile) else {
            throw SettingsError("--key-file: \(keyFile) cannot be read")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw SettingsError("--key-file: \(keyFile) is not text; a secret of other bytes cannot be used")
        }
        return text
    }

    @Sendable private static func algorithm(_ text: String) throws -> TokenAlgorithm {
        guard let algorithm = TokenAlgorithm(rawValue: text) else {
            throw ValidationError("\(text.debugDescription) is not an algorithm like HS256, RS256, ES256 or EdDSA")
        }
        return algorithm
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MartletAuth

/// Where a key is read from, and what it is for.
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

    /// What is wrong with the key, and which option names it.
    func error(_ error: KeyError) -> SettingsError {
        SettingsError("\(keyFile == nil ? "--key-env" : "--key-file"): \(error)")
    }

    /// The text of the key; `nil` where none is named.
    ///
    /// - Throws: ``SettingsError`` where it cannot be read.
    func text(environment: [String: String]) throws(SettingsError) -> String? {
        try SecretSource(name: "key", file: keyFile, variable: keyEnv).text(environment: environment)
    }

    @Sendable private static func algorithm(_ text: String) throws -> TokenAlgorithm {
        guard let algorithm = TokenAlgorithm(rawValue: text) else {
            throw ValidationError("\(text.debugDescription) is not an algorithm like HS256, RS256, ES256 or EdDSA")
        }
        return algorithm
    }
}

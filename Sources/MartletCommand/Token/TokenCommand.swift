// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MartletAuth

/// `martlet token`: makes and inspects tokens.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Make a token for a hub, or show what one grants.",
        discussion:
            "Without a subcommand, it makes a token: martlet token --key-file secret.txt --subscribe 'orders/{id}'",
        subcommands: [MakeTokenCommand.self, InspectTokenCommand.self],
        defaultSubcommand: MakeTokenCommand.self
    )
}

/// The options that name a key and its algorithm.
struct KeyOptions: ParsableArguments {
    @Option(help: ArgumentHelp("File with the key: a secret, or PEM.", valueName: "file"))
    var keyFile: String?

    @Option(help: ArgumentHelp("Environment variable with the key: a secret, or PEM.", valueName: "name"))
    var keyEnv: String?

    @Option(
        name: .customLong("alg"),
        help: ArgumentHelp(
            "The algorithm that signs tokens: \(TokenAlgorithm.allCases.map(\.rawValue).joined(separator: ", ")). "
                + "Default: HS256 for a secret, RS256 for an RSA key, and otherwise the only algorithm that fits the key.",
            valueName: "algorithm"),
        transform: algorithm)
    var algorithm: TokenAlgorithm?

    func validate() throws {
        if keyFile != nil, keyEnv != nil { throw ValidationError("Give either --key-file or --key-env") }
    }

    /// An error of the key as one of the option that names it.
    func error(_ error: KeyError) -> SettingsError {
        SettingsError("\(keyFile == nil ? "--key-env" : "--key-file"): \(error)")
    }

    /// The text of the key; `nil` if neither option is given.
    ///
    /// - Throws: ``SettingsError`` if the key cannot be read.
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

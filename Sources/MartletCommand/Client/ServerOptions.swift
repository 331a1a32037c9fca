// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// What the requests to a server carry for the user.
struct ServerOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("File with a bearer token, read again for each request.", valueName: "file"))
    var tokenFile: String?

    @Option(help: ArgumentHelp("Environment variable with a bearer token.", valueName: "name"))
    var tokenEnv: String?

    @Option(
        help: ArgumentHelp(
            "A field of the requests; repeatable, values of one name are joined.", valueName: "name: value"))
    var header: [String] = []

    func validate() throws {
        if tokenFile != nil, tokenEnv != nil { throw ValidationError("Give --token-file or --token-env, not both") }
        // The text may hold a secret.
        guard header.allSatisfy({ HeaderField($0) != nil }) else {
            throw ValidationError("A --header is not a field like \"Accept-Language: de\"")
        }
    }

    /// The fields by name.
    var fields: [String: String] {
        let fields = HeaderField.joined(header.compactMap(HeaderField.init))
        return Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.value) })
    }

    /// The token to send now; `nil` where none is named.
    ///
    /// - Throws: ``SettingsError`` where it cannot be read, or is none.
    func token(environment: [String: String]) throws(SettingsError) -> String? {
        let source = SecretSource(name: "token", file: tokenFile, variable: tokenEnv)
        guard let text = try source.text(environment: environment) else { return nil }
        let token = text.trimmingCharacters(in: .whitespacesAndNewlines)  // characters: any white space
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            let option = tokenFile == nil ? "--token-env" : "--token-file"
            throw SettingsError("\(option): what is there is not a token, which is one word of ASCII characters")
        }
        return token
    }
}

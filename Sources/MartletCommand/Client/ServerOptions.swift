// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// The token and the headers of the requests to a server.
struct ServerOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("File with a bearer token, read again for each request.", valueName: "file"))
    var tokenFile: String?

    @Option(help: ArgumentHelp("Environment variable with a bearer token.", valueName: "name"))
    var tokenEnv: String?

    @Option(
        help: ArgumentHelp(
            "A header of the requests; repeatable. Values of one name are joined.", valueName: "name: value"))
    var header: [String] = []

    func validate() throws {
        if tokenFile != nil, tokenEnv != nil { throw ValidationError("Give --token-file or --token-env, not both") }
        // The text may contain a secret.
        guard header.allSatisfy({ HeaderField($0) != nil }) else {
            throw ValidationError("A --header is not a field like \"Accept-Language: de\"")
        }
    }

    /// The headers by name.
    var fields: [String: String] {
        let fields = HeaderField.joined(header.compactMap(HeaderField.init))
        return Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.value) })
    }

    /// The token to send now; `nil` if there is no option for it.
    ///
    /// - Throws: ``SettingsError`` if it cannot be read, or is not a token.
    func token(environment: [String: String]) throws(SettingsError) -> String? {
        let source = SecretSource(name: "token", file: tokenFile, variable: tokenEnv)
        guard let text = try source.text(environment: environment) else { return nil }
        let token = text.trimmingCharacters(in: .whitespacesAndNewlines)  // characters: any white space
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            let option = tokenFile == nil ? "--token-env" : "--token-file"
            throw SettingsError("\(option): the text is not a token, which is one word of ASCII characters")
        }
        return token
    }
}

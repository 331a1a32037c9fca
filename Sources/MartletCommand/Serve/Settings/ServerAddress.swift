// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The address of a server in the location of a log: `host[:port]`, with IPv6 addresses in brackets.
struct ServerAddress: Equatable, Sendable {
    var host: String
    var port: Int

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    init?(_ text: Substring, defaultPort: Int) {
        let host: Substring
        var port: Substring?
        if let bracketed = text.cutting(prefix: "[") {
            guard let (inside, rest) = bracketed.cutExactly(at: UInt8(ascii: "]")) else { return nil }
            host = inside
            if !rest.isEmpty {
                guard let digits = rest.cutting(prefix: ":") else { return nil }
                port = digits
            }
        } else if let (before, digits) = text.cutExactly(at: UInt8(ascii: ":")) {
            (host, port) = (before, digits)
        } else {
            host = text
        }
        guard !host.isEmpty, !host.unicodeScalars.contains(where: { $0.properties.isWhitespace }),
            !String(host).hasControlCharacters
        else { return nil }
        self.host = String(host)
        self.port = defaultPort
        guard let port else { return }
        guard port.utf8.allSatisfy(\.isDigit), let number = Int(port), (1...65_535).contains(number) else { return nil }
        self.port = number
    }

    var text: String { (host.containsExactly(UInt8(ascii: ":")) ? "[\(host)]" : host) + ":\(port)" }
}

/// The user and the password in front of a server: `[user]:password@`, percent-encoded.
struct ServerCredentials: Equatable, Sendable {
    /// `nil` for the default user.
    var username: String?
    var password: SecretText

    /// The credentials in front of the last `@`, and what follows it; `nil` if they are malformed.
    static func split(_ text: Substring) -> (credentials: ServerCredentials?, rest: Substring)? {
        guard let at = text.utf8.lastIndex(of: UInt8(ascii: "@")) else { return (nil, text) }
        guard let (user, password) = text[..<at].cutExactly(at: UInt8(ascii: ":")),
            let user = user.percentDecodedText, let password = password.percentDecodedText, !password.isEmpty
        else { return nil }
        let credentials = ServerCredentials(
            username: user.isEmpty ? nil : user, password: SecretText(text: password))
        return (credentials, text[text.utf8.index(after: at)...])
    }
}

/// The fields behind the `?` of the location of a log, in their order: `name=value&name=value`, percent-encoded.
///
/// - Returns: `nil` if one is malformed.
func queryFields(_ text: Substring) -> [(name: String, value: String)]? {
    var fields: [(name: String, value: String)] = []
    for pair in text.splitExactly(at: UInt8(ascii: "&")) where !pair.isEmpty {
        guard let (name, value) = pair.cutExactly(at: UInt8(ascii: "=")), let value = value.percentDecodedText else {
            return nil
        }
        fields.append((String(name), value))
    }
    return fields
}

extension Substring {
    /// The decoded text; `nil` if its percent-encoding is malformed or does not stand for UTF-8.
    var percentDecodedText: String? {
        utf8.percentDecoded().flatMap { String(validating: $0, as: UTF8.self) }
    }
}

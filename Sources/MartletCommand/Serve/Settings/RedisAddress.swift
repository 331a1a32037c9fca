// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The address of a stream on a Redis server: `redis://[user:password@]host[:port][/database][?stream=name]`.
struct RedisAddress: Equatable, Sendable {
    static let prefix = "redis://"
    static let encryptedPrefix = "rediss://"

    var isEncrypted = false
    var host = ""
    var port = 6379
    var username: String?
    var password: SecretText?
    var database = 0
    var stream = "martlet"

    private static let mostDatabase = 1_000_000
    private static let mostNameBytes = 512

    init?(_ text: String) {
        let rest: Substring
        if let plain = text.cutting(prefix: Self.prefix) {
            rest = plain
        } else if let encrypted = text.cutting(prefix: Self.encryptedPrefix) {
            rest = encrypted
            isEncrypted = true
        } else {
            return nil
        }
        let parts = rest.splitExactly(at: UInt8(ascii: "?"), maxSplits: 1)
        let place = parts[0].splitExactly(at: UInt8(ascii: "/"), maxSplits: 1)
        guard readAuthority(place[0]), place.count < 2 || readDatabase(place[1]),
            parts.count < 2 || readQuery(parts[1])
        else { return nil }
    }

    /// The address without user and password.
    var text: String {
        let host = host.containsExactly(UInt8(ascii: ":")) ? "[\(host)]" : host
        let prefix = isEncrypted ? Self.encryptedPrefix : Self.prefix
        return "\(prefix)\(host):\(port)/\(database)?stream=\(stream)"
    }

    private mutating func readAuthority(_ text: Substring) -> Bool {
        var server = text
        if let at = text.utf8.lastIndex(of: UInt8(ascii: "@")) {
            server = text[text.utf8.index(after: at)...]
            guard let (user, password) = text[..<at].cutExactly(at: UInt8(ascii: ":")),
                let user = user.percentDecodedText,
                let password = password.percentDecodedText, !password.isEmpty
            else { return false }
            username = user.isEmpty ? nil : user
            self.password = SecretText(text: password)
        }
        if let bracketed = server.cutting(prefix: "[") {
            guard let (host, port) = bracketed.cutExactly(at: UInt8(ascii: "]")), isHost(host) else { return false }
            self.host = String(host)
            return port.isEmpty || (port.cutting(prefix: ":").map { readPort($0) } ?? false)
        }
        let parts = server.splitExactly(at: UInt8(ascii: ":"), maxSplits: 1)
        guard isHost(parts[0]) else { return false }
        host = String(parts[0])
        return parts.count < 2 || readPort(parts[1])
    }

    private func isHost(_ text: Substring) -> Bool {
        !text.isEmpty && !text.unicodeScalars.contains { $0.properties.isWhitespace }
            && !String(text).hasControlCharacters
    }

    private mutating func readPort(_ text: Substring) -> Bool {
        guard text.utf8.allSatisfy(\.isDigit), let port = Int(text), (1...65_535).contains(port) else { return false }
        self.port = port
        return true
    }

    private mutating func readDatabase(_ text: Substring) -> Bool {
        if text.isEmpty { return true }
        guard text.utf8.allSatisfy(\.isDigit), let database = Int(text), database <= Self.mostDatabase else {
            return false
        }
        self.database = database
        return true
    }

    private mutating func readQuery(_ text: Substring) -> Bool {
        for pair in text.splitExactly(at: UInt8(ascii: "&")) where !pair.isEmpty {
            guard let (field, value) = pair.cutExactly(at: UInt8(ascii: "=")), field.isExactly("stream"),
                let name = value.percentDecodedText, (1...Self.mostNameBytes).contains(name.utf8.count)
            else { return false }
            stream = name
        }
        return true
    }
}

extension Substring {
    /// The decoded text; `nil` if its percent-encoding is malformed or does not stand for UTF-8.
    fileprivate var percentDecodedText: String? {
        utf8.percentDecoded().flatMap { String(validating: $0, as: UTF8.self) }
    }
}

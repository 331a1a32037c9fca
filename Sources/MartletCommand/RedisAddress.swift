// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where a stream of a Redis server is: `redis://[user:password@]host[:port][/database][?stream=name]`.
struct RedisAddress: Equatable, Sendable {
    static let prefix = "redis://"
    static let encryptedPrefix = "rediss://"

    var isEncrypted = false
    var host = ""
    var port = 6379
    var username: String?
    var password: Secret?
    var database = 0
    var stream = "martlet"

    private static let mostDatabase = 1_000_000
    private static let mostNameBytes = 512

    init?(_ text: String) {
        let prefixes = [Self.prefix, Self.encryptedPrefix]
        guard let prefix = prefixes.first(where: text.hasPrefix) else { return nil }
        isEncrypted = prefix == Self.encryptedPrefix
        let parts = text.dropFirst(prefix.count).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let place = parts[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard readAuthority(place[0]), place.count < 2 || readDatabase(place[1]),
            parts.count < 2 || readQuery(parts[1])
        else { return nil }
    }

    /// The address as it may be shown.
    var text: String {
        let host = host.contains(":") ? "[\(host)]" : host
        let prefix = isEncrypted ? Self.encryptedPrefix : Self.prefix
        return "\(prefix)\(host):\(port)/\(database)?stream=\(stream)"
    }

    private mutating func readAuthority(_ text: Substring) -> Bool {
        var server = text
        if let at = text.lastIndex(of: "@") {
            server = text[at...].dropFirst()
            let words = text[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let user = words[0].removingPercentEncoding, words.count == 2,
                let password = words[1].removingPercentEncoding, !password.isEmpty
            else { return false }
            username = user.isEmpty ? nil : user
            self.password = Secret(text: password)
        }
        var host = server
        // The port stands behind the last colon, which an IPv6 address in brackets has within.
        if let colon = server.lastIndex(of: ":"), !server[colon...].contains("]") {
            guard let port = Int(server[colon...].dropFirst()), (1...65_535).contains(port) else { return false }
            self.port = port
            host = server[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        self.host = String(host)
        return !host.isEmpty && !host.contains { $0.isWhitespace || $0 == "/" }
    }

    private mutating func readDatabase(_ text: Substring) -> Bool {
        if text.isEmpty { return true }
        guard let database = Int(text), (0...Self.mostDatabase).contains(database) else { return false }
        self.database = database
        return true
    }

    private mutating func readQuery(_ text: Substring) -> Bool {
        for pair in text.split(separator: "&") {
            let words = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard words.count == 2, words[0] == "stream", let name = words[1].removingPercentEncoding, !name.isEmpty,
                name.utf8.count <= Self.mostNameBytes
            else { return false }
            stream = name
        }
        return true
    }
}

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
        guard let (credentials, server) = ServerCredentials.split(text),
            let server = ServerAddress(server, defaultPort: port)
        else { return false }
        (host, port) = (server.host, server.port)
        (username, password) = (credentials?.username, credentials?.password)
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
        guard let fields = queryFields(text) else { return false }
        for (name, value) in fields {
            guard name.isExactly("stream"), (1...Self.mostNameBytes).contains(value.utf8.count) else { return false }
            stream = value
        }
        return true
    }
}

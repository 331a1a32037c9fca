// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletSQLite
import MartletSupport

#if Redis
import MartletRedis
#endif

/// The place for history: `memory`, `sqlite:PATH`, or `redis://HOST`.
enum LogLocation: Equatable, Sendable {
    case memory
    case sqlite(path: String)
    case redis(RedisAddress)

    private static let sqlitePrefix = "sqlite:"

    init?(_ text: String) {
        if text.isExactly("memory") {
            self = .memory
        } else if let path = text.cutting(prefix: Self.sqlitePrefix), !path.isEmpty, !path.containsExactly(0) {
            self = .sqlite(path: String(path))
        } else if let address = RedisAddress(text) {
            self = .redis(address)
        } else {
            return nil
        }
    }

    /// The location without a password.
    var text: String {
        switch self {
        case .memory: "memory"
        case .sqlite(let path): Self.sqlitePrefix + path
        case .redis(let address): address.text
        }
    }

    /// The default bounds of history.
    var retention: Retention {
        switch self {
        case .memory, .redis: Retention()
        case .sqlite: .sqlite
        }
    }

    /// Whether the text that was parsed contains a password.
    var hasPassword: Bool {
        if case .redis(let address) = self { address.password != nil } else { false }
    }

    /// - Throws: ``SettingsError`` if this build does not support the location.
    func check() throws(SettingsError) {
        guard case .redis(let address) = self else { return }
        #if Redis
        if address.isEncrypted {
            throw SettingsError(
                "log: this build has no TLS for Redis; use redis:// through a tunnel (stunnel, a sidecar) or in a private "
                    + "network")
        }
        #else
        throw SettingsError(
            "log: this build has no support for \(address.text); install the library (apt-get install libhiredis-dev) and "
                + "build with it: swift run -c release --traits Redis martlet serve --log …")
        #endif
    }
}

extension HubSettings {
    func makeLog(_ logger: Logger) -> any Log {
        switch log {
        case .memory: return MemoryLog(retention: retention, queue: publishQueueBounds)
        case .sqlite(let path):
            return SQLiteLog(
                path: path, durability: durability, retention: retention, queue: publishQueueBounds, logger: logger)
        case .redis(let address):
            #if Redis
            var configuration = address.configuration
            configuration.retention = retention
            configuration.queuedPublishes = publishQueue
            configuration.patience = publishTimeout
            return RedisLog(configuration, logger: logger)
            #else
            preconditionFailure("\(address.text) is refused when settings are checked")
            #endif
        }
    }

    /// The board on which nodes that share the log exchange presence; `nil` if the log belongs to one process.
    func makeBoard() -> (any NodeBoard)? {
        #if Redis
        if case .redis(let address) = log { return RedisBoard(address.configuration) }
        #endif
        return nil
    }
}

#if Redis
extension RedisAddress {
    /// A configuration with this address and the defaults.
    fileprivate var configuration: RedisLogConfiguration {
        RedisLogConfiguration(
            host: host, port: port, username: username, password: password?.text, database: database, stream: stream)
    }
}
#endif

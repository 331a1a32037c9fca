// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletSQLite
import MartletSupport

#if Redis
import MartletRedis
#endif

/// Where history is kept: `memory`, `sqlite:PATH`, or `redis://HOST`.
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

    /// The location as it may be shown.
    var text: String {
        switch self {
        case .memory: "memory"
        case .sqlite(let path): Self.sqlitePrefix + path
        case .redis(let address): address.text
        }
    }

    /// What is kept where nothing else is set.
    var retention: Retention {
        switch self {
        case .memory, .redis: Retention()
        case .sqlite: .sqlite
        }
    }

    /// Whether a password is in the text that stands for it.
    var hasPassword: Bool {
        if case .redis(let address) = self { address.password != nil } else { false }
    }

    /// Throws where this command cannot use the location.
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

extension ServeSettings {
    func makeLog(_ logger: Logger) -> any Log {
        var kept = log.retention
        kept.events = historyEvents ?? kept.events
        kept.bytes = historyBytes ?? kept.bytes
        kept.age = historyAge ?? kept.age
        let queue = PublishQueue(publishers: publishQueue, patience: publishTimeout)
        switch log {
        case .memory: return MemoryLog(retention: kept, queue: queue)
        case .sqlite(let path):
            return SQLiteLog(path: path, durability: durability, retention: kept, queue: queue, logger: logger)
        case .redis(let address):
            #if Redis
            var configuration = address.configuration
            configuration.retention = kept
            configuration.queuedPublishes = publishQueue
            configuration.patience = publishTimeout
            return RedisLog(configuration, logger: logger)
            #else
            preconditionFailure("\(address.text) is refused when settings are checked")
            #endif
        }
    }

    /// Where the nodes that share the log tell each other who is subscribed; `nil` where it is of one process.
    func makeBoard() -> (any NodeBoard)? {
        #if Redis
        if case .redis(let address) = log { return RedisBoard(address.configuration) }
        #endif
        return nil
    }
}

#if Redis
extension RedisAddress {
    /// Where the stream is, and every default.
    fileprivate var configuration: RedisLogConfiguration {
        RedisLogConfiguration(
            host: host, port: port, username: username, password: password?.text, database: database, stream: stream)
    }
}
#endif

extension SettingFormat<LogLocation> {
    static var log: Self {
        Self(
            valueName: "log", expectation: "memory, sqlite:PATH or redis://HOST:PORT/DATABASE?stream=NAME",
            parse: LogLocation.init, describe: \.text)
    }
}

extension SettingFormat<Durability> {
    static var durability: Self {
        Self(
            valueName: "durability", expectation: "commit or os", parse: Durability.init(rawValue:),
            describe: \.rawValue)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletSQLite

/// Where history is kept: `memory`, or `sqlite:PATH`.
enum LogLocation: Equatable, Sendable {
    case memory
    case sqlite(path: String)

    private static let sqlitePrefix = "sqlite:"

    init?(_ text: String) {
        if text == "memory" {
            self = .memory
        } else if text.hasPrefix(Self.sqlitePrefix), text != Self.sqlitePrefix {
            self = .sqlite(path: String(text.dropFirst(Self.sqlitePrefix.count)))
        } else {
            return nil
        }
    }

    var text: String {
        switch self {
        case .memory: "memory"
        case .sqlite(let path): Self.sqlitePrefix + path
        }
    }

    /// What is kept where nothing else is set.
    var retention: Retention {
        switch self {
        case .memory: Retention()
        case .sqlite: .sqlite
        }
    }
}

extension ServeSettings {
    func makeLog(_ logger: Logger) -> any Log {
        var kept = log.retention
        kept.events = historyEvents ?? kept.events
        kept.bytes = historyBytes ?? kept.bytes
        kept.age = historyAge ?? kept.age
        var queue = PublishQueue()
        queue.publishers = publishQueue
        queue.patience = publishTimeout
        return switch log {
        case .memory: MemoryLog(retention: kept, clock: ContinuousClock(), queue: queue)
        case .sqlite(let path):
            SQLiteLog(path: path, durability: durability, retention: kept, queue: queue, logger: logger)
        }
    }
}

extension LogLocation {
    /// Where the nodes that share the log tell each other who is subscribed; `nil` where it is of one process.
    func makeBoard() -> (any NodeBoard)? {
        switch self {
        case .memory, .sqlite: nil
        }
    }
}

extension SettingFormat<LogLocation> {
    static var log: Self {
        Self(valueName: "log", expectation: "memory or sqlite:PATH", parse: LogLocation.init, describe: \.text)
    }
}

extension SettingFormat<Durability> {
    static var durability: Self {
        Self(
            valueName: "durability", expectation: "commit or os", parse: Durability.init(rawValue:),
            describe: \.rawValue)
    }
}

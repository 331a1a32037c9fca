// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Logging
import Martlet
import Synchronization

@testable import MartletSQLite

/// A wall clock that goes on when it is told to.
final class WallClock: Sendable {
    private let milliseconds = Mutex<Int64>(1_700_000_000_000)

    var now: Int64 { milliseconds.withLock { $0 } }

    func advance(by seconds: Int64) { milliseconds.withLock { $0 += seconds * 1000 } }
}

extension TemporaryFolder {
    /// A log in a file of the folder, which says nothing.
    func log(
        _ name: String, durability: Durability = .commit, retention: Retention = .sqlite,
        queue: PublishQueue = PublishQueue(),
        now: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    ) -> SQLiteLog {
        SQLiteLog(
            path: path(name), durability: durability, retention: retention, queue: queue,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, now: now)
    }
}

extension SQLiteLog {
    /// Writes and removes all that there is to write and to remove.
    func settle() async throws {
        let history = try history
        try await history.file.pool.writeWithoutTransaction { database in
            while self.writeNext(history, in: database) {}
        }
    }

    /// Gives the tail everything, and removes what is too much then.
    func follow() async throws {
        let history = try history
        while let end = state.withLock({ $0.recent.isEmpty ? nil : $0.recent.start }) {
            _ = try await tail(after: history.position(end), limit: SliceLimit())
        }
        try await settle()
    }

    func run(_ sql: String) async throws {
        try await history.file.pool.writeWithoutTransaction { try $0.execute(sql: sql) }
    }
}

extension Log {
    /// Appends one event for each text, one after the other.
    @discardableResult
    func append(_ topic: Topic, _ texts: String...) async throws -> [Position] {
        var positions: [Position] = []
        for text in texts { positions += try await append([Event(topic: topic, data: text)]) }
        return positions
    }

    /// The texts of everything selected from a position to the end.
    func texts(_ selection: Selection? = nil, after place: Position = .earliest) async throws -> [String] {
        let end = try await open()
        var texts: [String] = []
        var place = place
        while true {
            let slice = try await read(selection, after: place, through: end, limit: SliceLimit())
            texts += slice.records.map(\.event.data)
            if slice.isComplete { return texts }
            place = slice.end
        }
    }
}

extension Selection {
    static func of(_ topics: Topic..., includesPrivate: Bool = false) -> Selection {
        Selection(topics: Set(topics), includesPrivate: includesPrivate)
    }
}

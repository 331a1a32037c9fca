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

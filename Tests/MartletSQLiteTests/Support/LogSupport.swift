// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Logging
import Martlet
import MartletSupport
import Synchronization
import TestSupport

@testable import MartletSQLite

/// Clocks of a machine that the test advances.
final class TestClocks: Sendable {
    private struct State {
        var wall = Duration.seconds(1_700_000_000)
        var running = Duration.zero
    }

    private let state = Mutex(State())

    var machine: MachineClocks {
        MachineClocks(wall: { self.state.withLock { $0.wall } }, running: { self.state.withLock { $0.running } })
    }

    /// What the wall clock says, in milliseconds.
    var now: Int64 { state.withLock { $0.wall }.wholeMilliseconds }

    /// Time passes.
    func advance(by seconds: Int64) {
        state.withLock { state in
            state.wall += .seconds(seconds)
            state.running += .seconds(seconds)
        }
    }

    /// Sets the wall clock forward.
    func step(by seconds: Int64) { state.withLock { $0.wall += .seconds(seconds) } }
}

extension TemporaryFolder {
    /// A log in a file of the folder, quiet unless a logger is given.
    func log(
        _ name: String, durability: Durability = .commit, retention: Retention = .sqlite,
        rules: RetentionRules = [], queue: PublishQueue = PublishQueue(), trimmedTopics: Int = 65_536,
        kept: Kept.Bounds = Kept.Bounds(), logger: Logger = quiet, clocks: MachineClocks = .system
    ) -> SQLiteLog {
        SQLiteLog(
            path: path(name), durability: durability, retention: retention, rules: rules, queue: queue,
            trimmedTopics: trimmedTopics, kept: kept, logger: logger, clocks: clocks)
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
        while history.tailed < history.last {
            _ = try await tail(after: history.position(history.tailed), limit: SliceLimit())
        }
        try await settle()
    }

    func run(_ sql: String) async throws {
        try await history.file.pool.writeWithoutTransaction { try $0.execute(sql: sql) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Logging
import Martlet
import Synchronization
import TestSupport

@testable import MartletSQLite

/// The clocks of a machine, which go on when they are told to.
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

    /// Somebody sets the wall clock.
    func step(by seconds: Int64) { state.withLock { $0.wall += .seconds(seconds) } }
}

extension TemporaryFolder {
    /// A log in a file of the folder, which says nothing unless somebody listens.
    func log(
        _ name: String, durability: Durability = .commit, retention: Retention = .sqlite,
        queue: PublishQueue = PublishQueue(), logger: Logger = quiet, clocks: MachineClocks = .system
    ) -> SQLiteLog {
        SQLiteLog(
            path: path(name), durability: durability, retention: retention, queue: queue, logger: logger,
            clocks: clocks)
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

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets tasks wait for changes.
///
/// A task takes the ``version`` first, then examines the state that it depends on, then waits for a later version. So
/// it misses no change in between; ``wait(until:)`` does all of this.
package final class Signal: Sendable {
    private struct State {
        var version: UInt64 = 0
        var nextWaiter: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    package var version: UInt64 { state.withLock { $0.version } }

    /// Wakes all tasks that wait.
    package func fire() {
        let waiters = state.withLock { state in
            state.version += 1
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Calls a closure, and again after each change, until it returns a value. Throws `CancellationError` when the task
    /// is cancelled.
    package func wait<Value>(until find: () throws -> Value?) async throws -> Value {
        while true {
            let seen = version
            if let value = try find() { return value }
            try await wait(past: seen)
        }
    }

    /// Returns once the version is no longer `seen`. Throws `CancellationError` when the task is cancelled.
    package func wait(past seen: UInt64) async throws {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDue = state.withLock { state in
                    // The flag of the task is set before its handler runs, so one of the two sees the other.
                    if state.version != seen || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
        try Task.checkCancellation()
    }
}

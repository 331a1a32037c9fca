// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Requests to connect anew, for one that waits. A request stays until a new connection is begun, so that one that comes
/// together with something else is not lost.
final class Restarts: Sendable {
    private struct State {
        var isRequested = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func request() {
        state.withLock { state in
            state.isRequested = true
            return state.waiter.take()
        }?.resume()
    }

    /// A new connection is begun.
    func clear() { state.withLock { $0.isRequested = false } }

    /// Waits for a request.
    ///
    /// - Throws: `CancellationError` when the task is cancelled.
    func wait() async throws {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    // The flag of the task is set before its handler runs, so one of the two sees the other.
                    if state.isRequested || Task.isCancelled { return true }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiter.take() }?.resume()
        }
        try Task.checkCancellation()
    }
}

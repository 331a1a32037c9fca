// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension EventSource {
    enum Outcome<Value: Sendable>: Sendable {
        case done(Value)
        case lost(DisconnectReason)
        /// The application asked for a new connection.
        case reconnect
    }

    /// Runs an operation until it ends, its time is over, or ``EventSource/reconnect()`` is called. Nothing of it is left
    /// running.
    ///
    /// - Throws: `CancellationError` when the task is cancelled.
    func interruptible<Value: Sendable>(
        within timeout: Duration?, _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Outcome<Value> {
        let outcome = await withTaskGroup(of: Outcome<Value>.self) { [clock, reconnectRequests] tasks in
            tasks.addTask {
                do { return .done(try await operation()) } catch { return .lost(DisconnectReason(error)) }
            }
            if let timeout {
                tasks.addTask {
                    try? await clock.sleep(for: timeout)
                    return .lost(.timedOut)
                }
            }
            tasks.addTask {
                try? await reconnectRequests.wait()
                return .reconnect
            }
            defer { tasks.cancelAll() }
            return await tasks.next() ?? .lost(.ended)
        }
        // The children of a cancelled task end in any order.
        try Task.checkCancellation()
        return outcome
    }
}

/// Calls of ``EventSource/reconnect()``. A request stays until the next connect, so one that arrives together with
/// something else is not lost.
final class ReconnectRequests: Sendable {
    private struct State {
        var isRequested = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func add() {
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

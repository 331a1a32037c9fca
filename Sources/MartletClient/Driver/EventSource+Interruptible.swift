// SPDX-License-Identifier: Apache-2.0

extension EventSource {
    enum Outcome<Value: Sendable>: Sendable {
        case done(Value)
        case lost(Cause)
        /// The application asked for another connection.
        case restarted
    }

    /// Does something that may take long, and lets a timeout or a request to reconnect cut it short. Whatever comes
    /// first, nothing of the rest is left when it returns.
    ///
    /// - Throws: `CancellationError` when the task is cancelled.
    func interruptible<Value: Sendable>(
        within timeout: Duration?, _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Outcome<Value> {
        let outcome = await withTaskGroup(of: Outcome<Value>.self) { [clock, restarts] tasks in
            tasks.addTask {
                do { return .done(try await operation()) } catch { return .lost(Cause(error)) }
            }
            if let timeout {
                tasks.addTask {
                    try? await clock.sleep(for: timeout)
                    return .lost(.timedOut)
                }
            }
            tasks.addTask {
                try? await restarts.wait()
                return .restarted
            }
            defer { tasks.cancelAll() }
            return await tasks.next() ?? .lost(.ended)
        }
        // A task that is cancelled has its children end in any order.
        try Task.checkCancellation()
        return outcome
    }
}

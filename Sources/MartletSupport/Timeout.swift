// SPDX-License-Identifier: Apache-2.0

/// Runs an operation, and cancels it when its time is over. Nothing of it is left running.
///
/// - Parameters:
///   - clock: Measures the time.
///   - error: Thrown when the time is over.
/// - Throws: the error of the operation, `error`, or `CancellationError` when the task is cancelled while it waits.
package func withTimeout<Value: Sendable>(
    _ timeout: Duration, clock: any Clock<Duration> = ContinuousClock(), throwing error: any Error,
    _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { tasks in
        tasks.addTask(operation: operation)
        tasks.addTask {
            try await clock.sleep(for: timeout)
            throw error
        }
        defer { tasks.cancelAll() }
        guard let value = try await tasks.next() else { throw error }
        return value
    }
}

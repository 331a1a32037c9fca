// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient

extension EventSource {
    /// Why there is no more of a connection. It holds nothing that came over it.
    enum Cause: Sendable, Hashable, CustomStringConvertible {
        case ended
        case failed(String)
        case timedOut
        case restarted

        var description: String {
            switch self {
            case .ended: "The stream has ended."
            case .failed(let reason): "The connection failed: \(reason)."
            case .timedOut: "Nothing came within the read timeout."
            case .restarted: "The application asked for it."
            }
        }
    }

    enum Outcome<Value: Sendable>: Sendable {
        case done(Value)
        case lost(Cause)

        var cause: Cause {
            if case .lost(let cause) = self { cause } else { .ended }
        }
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
                do { return .done(try await operation()) } catch let error as HTTPClientError {
                    // What describes these errors in full may contain header fields, and so credentials.
                    return .lost(.failed(error.shortDescription))
                } catch {
                    return .lost(.failed("\(type(of: error))"))
                }
            }
            if let timeout {
                tasks.addTask {
                    try? await clock.sleep(for: timeout)
                    return .lost(.timedOut)
                }
            }
            tasks.addTask {
                try? await restarts.wait()
                return .lost(.restarted)
            }
            defer { tasks.cancelAll() }
            return await tasks.next() ?? .lost(.ended)
        }
        // A task that is cancelled has its children end in any order.
        try Task.checkCancellation()
        return outcome
    }
}

// SPDX-License-Identifier: Apache-2.0

package import Logging
package import Martlet

/// Logs nothing.
package let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A hub that drains without a wait, and tells its clients to reconnect at once.
package func quickHub(
    retention: Retention = Retention(), clock: some Clock<Duration> = ContinuousClock(),
    _ configure: (inout HubConfiguration) -> Void = { _ in }
) -> Hub {
    var configuration = HubConfiguration()
    configuration.grace = .zero
    configuration.retry = .zero ... .zero
    configure(&configuration)
    return Hub(
        log: MemoryLog(retention: retention, clock: clock), configuration: configuration, logger: quiet)
}

extension Hub {
    /// Runs the hub for as long as a closure runs.
    package func whileRunning<Value: Sendable>(_ body: (Hub) async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.run() }
            defer { group.cancelAll() }
            return try await body(self)
        }
    }
}

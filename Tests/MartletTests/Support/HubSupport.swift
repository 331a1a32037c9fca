// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletTesting

@testable import Martlet

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Runs a hub for as long as a closure runs.
func withHub<Value: Sendable>(
    log: any Log = MemoryLog(clock: ContinuousClock()),
    windowBytes: Int = HubConfiguration().windowBytes,
    heartbeat: Duration = .seconds(15),
    retry: Duration = .seconds(2),
    _ body: @Sendable @escaping (Hub) async throws -> Value
) async throws -> Value {
    var configuration = HubConfiguration()
    configuration.windowBytes = windowBytes
    configuration.heartbeat = heartbeat
    configuration.retry = retry...retry
    configuration.grace = .zero
    let hub = Hub(log: log, configuration: configuration, logger: quiet)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await hub.run() }
        defer { group.cancelAll() }
        return try await body(hub)
    }
}

extension Hub {
    /// Publishes numbers one after the other, and waits until the hub has handed on the last of them.
    @discardableResult
    func publish(numbers: Range<Int>, to topic: Topic) async throws -> [String] {
        var ids: [String] = []
        for number in numbers { ids.append(try await publish("\(number)", to: topic)) }
        try await TestConnection.withPatience { [last = ids.last] in
            while self.tail.position.text != last { await Task.yield() }
        }
        return ids
    }
}

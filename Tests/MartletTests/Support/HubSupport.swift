// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Logging
import MartletTesting
import TestSupport

@testable import Martlet

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Runs a hub for as long as a closure runs.
func withHub<Value: Sendable>(
    log: any Log = MemoryLog(),
    windowBytes: Int = HubConfiguration().windowBytes,
    heartbeat: Duration = .seconds(15),
    retry: Duration = .seconds(2),
    base: HubConfiguration = HubConfiguration(),
    metrics: any MetricsFactory = NOOPMetricsHandler.instance,
    onStreamEnd: (@Sendable (EndedStream) -> Void)? = nil,
    _ body: @Sendable @escaping (Hub) async throws -> Value
) async throws -> Value {
    var configuration = base
    configuration.windowBytes = windowBytes
    configuration.heartbeat = heartbeat
    configuration.retry = retry...retry
    configuration.grace = .zero
    let hub = Hub(log: log, configuration: configuration, logger: quiet, metrics: metrics, onStreamEnd: onStreamEnd)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await hub.run() }
        defer { group.cancelAll() }
        return try await body(hub)
    }
}

extension HubConfiguration {
    static func with(_ change: (inout HubConfiguration) -> Void) -> HubConfiguration {
        var configuration = HubConfiguration()
        change(&configuration)
        return configuration
    }

    /// Slices of any size, and room for none of them, or for all.
    mutating func chooseReplays(using random: inout SeededGenerator) {
        slice = [SliceLimit(), SliceLimit(events: 3), SliceLimit(bytes: 200)].randomElement(using: &random) ?? slice
        replayBytes = Bool.random(using: &random) ? 0 : replayBytes
    }
}

extension Hub {
    /// Publishes numbers one after the other, and waits until the hub has handed on the last of them.
    @discardableResult
    func publish(numbers: Range<Int>, to topic: Topic) async throws -> [String] {
        var ids: [String] = []
        for number in numbers { ids.append(try await publish("\(number)", to: topic)) }
        try await until { fanOut.tail.position.text == ids.last }
        return ids
    }
}

/// Subscribes and reads so many events.
func read(_ count: Int, from hub: Hub, to topics: Set<Topic>, after id: String) async throws -> [Delivery] {
    try await TestConnection.withPatience {
        let events = Events(try await hub.subscribe(to: Selection(topics: topics), after: id))
        var iterator = events.makeAsyncIterator()
        var deliveries: [Delivery] = []
        while deliveries.count < count, let delivery = try await iterator.next() { deliveries.append(delivery) }
        return deliveries
    }
}

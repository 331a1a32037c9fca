// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import MartletHTTP
import ServiceLifecycle
import Synchronization

struct Order: ResponseCodable, Sendable {
    enum Status: String, Codable, CaseIterable { case placed, packed, shipped, delivered }

    var number: Int
    var item: String
    var status = Status.placed
}

/// Takes orders, and delivers them within seconds.
final class Shop: Service {
    private let hub: Hub
    private let count = Atomic(0)
    private let open = AsyncStream.makeStream(
        of: (Order, Topic).self, bufferingPolicy: .bufferingOldest(100))

    init(hub: Hub) { self.hub = hub }

    /// Each change of an order is an event on the topic of its user.
    func place(_ item: String, for user: String) async throws -> Order {
        let topic = try Topic("orders/\(user)")
        let order = Order(number: count.add(1, ordering: .relaxed).newValue, item: item)
        try await hub.publish(order, to: topic)
        guard case .enqueued = open.continuation.yield((order, topic)) else { throw HTTPError(.serviceUnavailable) }
        return order
    }

    func run() async throws {
        _ = try await place("A looking glass", for: "alice")
        await withDiscardingTaskGroup { group in
            for await (order, topic) in open.stream.cancelOnGracefulShutdown() {
                group.addTask { try? await self.deliver(order, topic) }
            }
            group.cancelAll()
        }
    }

    private func deliver(_ order: Order, _ topic: Topic) async throws {
        var order = order
        for status in Order.Status.allCases.dropFirst() {
            try await Task.sleep(for: .seconds(2))
            order.status = status
            try await hub.publish(order, to: topic)
        }
    }
}

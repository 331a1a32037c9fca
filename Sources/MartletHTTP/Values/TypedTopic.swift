// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// A topic whose events are values of one type, as JSON: publishers and subscribers agree on it when they are compiled.
///
///     let orders = TypedTopic<Order>("orders/42")
///     try await hub.publish(order, to: orders)
///     try await hub.subscribe(to: orders) { events in
///         for try await event in events { print(event.value, event.id) }
///     }
///
/// What is not known when it is compiled is made a ``Martlet/Topic`` first: `try TypedTopic<Order>(Topic("orders/\(id)"))`.
public struct TypedTopic<Value: Codable & Sendable>: Hashable, Sendable {
    public let topic: Topic

    public init(_ topic: Topic) { self.topic = topic }
}

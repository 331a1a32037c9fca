// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// A topic whose events are values of one type, as JSON. The compiler checks that publishers and subscribers agree.
///
///     let orders = TypedTopic<Order>("orders/42")
///     try await hub.publish(order, to: orders)
///     try await hub.subscribe(to: orders) { events in
///         for try await event in events { print(event.value, event.id) }
///     }
///
/// Make a name that is known only at run time a ``/Martlet/Topic`` first: `try
/// TypedTopic<Order>(Topic("orders/\(id)"))`.
public struct TypedTopic<Value: Codable & Sendable>: Hashable, Sendable {
    /// The topic on the wire.
    public let topic: Topic

    public init(_ topic: Topic) { self.topic = topic }
}

/// A value as a subscriber receives it.
public struct TypedDelivery<Value: Sendable>: Sendable {
    /// The data of the event, decoded.
    public var value: Value
    /// The id of the event. Subscribe after this id to receive the events that follow.
    public var id: String
    /// The event type, for which `EventSource` has listeners; `nil` means `message`.
    public var type: String?

    init(value: Value, id: String, type: String? = nil) {
        self.value = value
        self.id = id
        self.type = type
    }
}

extension TypedDelivery: Equatable where Value: Equatable {}

extension TypedDelivery where Value: Decodable {
    init(_ delivery: Delivery, on topic: Topic) throws(EventValueError) {
        // A gap has no topic.
        guard delivery.topic != nil else { throw .gap(in: topic, id: delivery.id) }
        try self.init(data: delivery.data, id: delivery.id, type: delivery.type, on: topic)
    }

    init(data: String, id: String, type: String?, on topic: Topic) throws(EventValueError) {
        guard let value = try? EventJSON.value(Value.self, of: data) else {
            throw .notDecodable(Value.self, from: topic, id: id)
        }
        self.init(value: value, id: id, type: type)
    }
}

/// The values of a topic, in the order of the log, each exactly once. The sequence ends when the topic has ended, and when
/// the hub stops.
///
/// It skips nothing silently: it throws ``EventValueError`` at an event that is not a value of the type, and at a gap. To
/// continue without what is missing, subscribe again after the id of the error:
///
///     } catch let error as EventValueError {
///         if error.code == .gap { await reload() }
///         id = error.id
///     }
///
/// The sequence is for one reader at a time.
public struct TypedEvents<Value: Codable & Sendable>: AsyncSequence, Sendable {
    private let events: Events
    private let topic: Topic

    init(_ events: Events, of topic: Topic) {
        self.events = events
        self.topic = topic
    }

    public func makeAsyncIterator() -> Iterator { Iterator(events: events.makeAsyncIterator(), topic: topic) }

    /// Reads the values one at a time.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate var events: Events.Iterator
        fileprivate let topic: Topic

        /// The next value, as soon as there is one; `nil` once the hub has stopped.
        ///
        /// - Throws: ``EventValueError``; `CancellationError`; or the log's error if history cannot be read.
        public mutating func next() async throws -> TypedDelivery<Value>? {
            while let delivery = try await events.next() {
                // The end of the topic is no value.
                if !delivery.endsTopic { return try value(of: delivery) }
            }
            return nil
        }

        /// Apart from ``next()``: the compiler (6.3, release) fails at a call that throws one type of error there.
        private func value(of delivery: Delivery) throws -> TypedDelivery<Value> {
            try TypedDelivery(delivery, on: topic)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet

/// A value as a subscriber receives it.
public struct TypedDelivery<Value: Sendable>: Sendable {
    public var value: Value
    /// What resuming after this event takes.
    public var id: String
    public var type: String?

    init(value: Value, id: String, type: String? = nil) {
        self.value = value
        self.id = id
        self.type = type
    }
}

extension TypedDelivery: Equatable where Value: Equatable {}

extension TypedDelivery where Value: Decodable {
    /// What an event of a topic says.
    init(_ delivery: Delivery, on topic: Topic) throws(EventValueError) {
        // A gap is of no topic.
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

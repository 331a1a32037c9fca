// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// Values as events: any `Encodable`, as JSON on one line.
extension Hub {
    /// Publishes a value to a topic, as JSON. (A `String` is published as it is, unless the topic is a ``TypedTopic``.)
    ///
    /// - Parameter type: The name under which `EventSource` dispatches the event. `nil`: `message`.
    /// - Returns: an id that resuming after the event takes.
    /// - Throws: ``EventValueError`` when the value cannot be written as JSON; ``Martlet/MartletError`` when the event
    ///   breaks one of the limits; else what the log throws.
    @discardableResult
    public func publish<Value: Encodable>(
        _ value: Value, to topic: Topic, type: String? = nil
    ) async throws -> String {
        guard let data = try? EventJSON.text(of: value) else {
            throw EventValueError.notEncodable(Value.self, to: topic)
        }
        return try await publish(Event(topic: topic, data: data, type: type))
    }

    /// Publishes a value to a topic of its type, as JSON.
    ///
    /// - Parameter type: The name under which `EventSource` dispatches the event. `nil`: `message`.
    /// - Returns: an id that resuming after the event takes.
    @discardableResult
    public func publish<Value>(
        _ value: Value, to topic: TypedTopic<Value>, type: String? = nil
    ) async throws -> String {
        try await publish(value, to: topic.topic, type: type)
    }

    /// Gives the values of a topic to a closure, until the closure returns.
    ///
    /// - Parameters:
    ///   - id: Resume after this event; `earliest` for everything in history.
    ///   - age: Where no id is given: begin with what was published so long ago. `nil` too: only what is published from now
    ///     on.
    ///   - body: Reads the values; they end when the hub stops.
    public func subscribe<Value, Result>(
        to topic: TypedTopic<Value>,
        after id: String? = nil,
        since age: Duration? = nil,
        _ body: (TypedEvents<Value>) async throws -> Result
    ) async throws -> Result {
        try await subscribe(to: topic.topic, after: id, since: age) { events in
            try await body(TypedEvents(events, of: topic.topic))
        }
    }
}

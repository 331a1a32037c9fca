// SPDX-License-Identifier: Apache-2.0

public import Martlet

extension Hub {
    /// Publishes a value to a topic, as JSON on one line.
    ///
    /// A `String` is published as it is, unless the topic is a ``TypedTopic``.
    ///
    /// - Parameter type: The event type, under which `EventSource` dispatches the event. `nil` means `message`.
    /// - Returns: The id of the event, from which a subscriber can resume.
    /// - Throws: ``EventValueError`` if the value cannot be written as JSON; ``/Martlet/MartletError`` if the event
    ///   exceeds the limits of the hub; otherwise the error of the log.
    @discardableResult
    public func publish<Value: Encodable>(
        _ value: Value, to topic: Topic, type: String? = nil
    ) async throws -> String {
        guard let data = try? EventJSON.text(of: value) else {
            throw EventValueError.notEncodable(Value.self, to: topic)
        }
        return try await publish(Event(topic: topic, data: data, type: type))
    }

    /// Publishes a value to a topic of its type, as JSON on one line.
    ///
    /// - Parameter type: The event type, under which `EventSource` dispatches the event. `nil` means `message`.
    /// - Returns: The id of the event, from which a subscriber can resume.
    /// - Throws: ``EventValueError`` if the value cannot be written as JSON; ``/Martlet/MartletError`` if the event
    ///   exceeds the limits of the hub; otherwise the error of the log.
    @discardableResult
    public func publish<Value>(
        _ value: Value, to topic: TypedTopic<Value>, type: String? = nil
    ) async throws -> String {
        try await publish(value, to: topic.topic, type: type)
    }

    /// Passes the values of a topic to a closure. The subscription ends when the closure returns.
    ///
    /// - Parameters:
    ///   - id: Resume after the event with this id; `earliest` starts with the oldest event in history.
    ///   - age: Without an id, start with the events of this last period. If this is `nil`, too, only later events come.
    ///   - body: Reads the values, which end when the hub stops.
    /// - Returns: The result of the closure.
    /// - Throws: ``/Martlet/MartletError`` if the topic exceeds the limits of the hub; the error of the log; or the
    ///   error of the closure.
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

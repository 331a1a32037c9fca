// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// A value could not be published, or a subscriber cannot receive an event as a value.
///
/// Match on ``code``; later versions may add codes. No field contains the data of an event. If the error has an ``id``,
/// you can subscribe again after this id and receive what follows.
public struct EventValueError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The name of the code, such as `notEncodable`.
        public let description: String

        /// The value cannot be written as JSON. Nothing was published or sent.
        public static let notEncodable = Code(description: "notEncodable")
        /// The event is not a value of the topic's type.
        public static let notDecodable = Code(description: "notDecodable")
        /// The subscriber missed events that are no longer in history.
        public static let gap = Code(description: "gap")
    }

    /// What went wrong.
    public let code: Code
    /// The topic of the event; `nil` for a stream to a single client, which has no topic.
    public let topic: Topic?
    /// The id after which a subscription can continue: that of the event, or the end of the gap. `nil` if nothing was
    /// published.
    public let id: String?
    /// What is wrong, and what to do about it.
    public let message: String

    /// The ``message``.
    public var description: String { message }

    private init(_ code: Code, _ topic: Topic?, id: String? = nil, _ message: String) {
        self.code = code
        self.topic = topic
        self.id = id
        self.message = message
    }

    package static func notEncodable(_ type: Any.Type, to topic: Topic?) -> EventValueError {
        EventValueError(
            .notEncodable, topic,
            """
            The \(type)\(topic.map { " for the topic \($0)" } ?? "") cannot be written as JSON. Numbers must be finite, \
            years must have four digits, and encode(to:) must not throw.
            """)
    }

    static func notDecodable(_ type: Any.Type, from topic: Topic, id: String) -> EventValueError {
        EventValueError(
            .notDecodable, topic, id: id,
            """
            The event \(id) on the topic \(topic) is not a \(type). Publish nothing else there. Subscribe after this id \
            to continue behind the event.
            """)
    }

    static func gap(in topic: Topic, id: String) -> EventValueError {
        EventValueError(
            .gap, topic, id: id,
            """
            Missed events on the topic \(topic) are no longer in history. Fetch the current state, and subscribe after \
            \(id) to continue.
            """)
    }
}

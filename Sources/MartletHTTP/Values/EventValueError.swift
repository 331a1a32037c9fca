// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// Why a value could not be published, or what a subscriber cannot be given as a value.
///
/// Match on ``code``; the codes may grow. Neither the ``message`` nor anything else contains the data. Where there is an
/// ``id``, subscribing again after it goes on with what follows.
public struct EventValueError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// The value cannot be written as JSON. Nothing was published.
        public static let notEncodable = Code(description: "notEncodable")
        /// The event is not a value of the topic's type.
        public static let notDecodable = Code(description: "notDecodable")
        /// Events are no longer in history that the subscriber has not seen.
        public static let gap = Code(description: "gap")
    }

    public let code: Code
    /// `nil`: a stream to one client, which is of no topic.
    public let topic: Topic?
    /// The id of the event, or of the place from which a subscription can go on; `nil` for what was not published.
    public let id: String?
    /// What is wrong and what to do.
    public let message: String

    public var description: String { message }

    private init(_ code: Code, _ topic: Topic?, id: String? = nil, _ message: String) {
        self.code = code
        self.topic = topic
        self.id = id
        self.message = message
    }

    static func notEncodable(_ type: Any.Type, to topic: Topic?) -> EventValueError {
        EventValueError(
            .notEncodable, topic,
            """
            The \(type)\(topic.map { " for the topic \($0)" } ?? "") cannot be written as JSON. Leave out numbers that are not finite and years \
            that have no four digits, and see whether its encode(to:) throws.
            """)
    }

    static func notDecodable(_ type: Any.Type, from topic: Topic, id: String) -> EventValueError {
        EventValueError(
            .notDecodable, topic, id: id,
            """
            The event \(id) on the topic \(topic) is no \(type). Publish nothing else there; subscribe after its id to go \
            on behind it.
            """)
    }

    static func gap(in topic: Topic, id: String) -> EventValueError {
        EventValueError(
            .gap, topic, id: id,
            """
            Events on the topic \(topic) are no longer in history. Fetch the present state, and subscribe after \(id) to \
            go on.
            """)
    }
}

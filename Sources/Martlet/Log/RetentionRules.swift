// SPDX-License-Identifier: Apache-2.0

/// Bounds of history for single topics, so that a busy topic does not remove the events of another.
///
///     let rules: RetentionRules = [
///         .init(topics: "chat/{id}", events: 1000, age: .seconds(3600)),
///         .init(topics: "*", events: 100),
///     ]
///
/// The first rule whose pattern matches the topic of an event applies to it; additional topics do not matter. Each topic
/// has the bounds for itself: its oldest events are removed as soon as one of them is exceeded. Events of other topics
/// have no bounds of their own. The bounds of the whole history, a ``Retention``, hold in any case.
///
/// For embedded logs: in a log that nodes share, nothing can be removed from the middle of history.
///
/// Beyond the events, an embedded log takes about 70 bytes of memory for each event of a topic with a rule, and 200 for
/// each such topic in history.
public struct RetentionRules: Hashable, Sendable, ExpressibleByArrayLiteral {
    /// The bounds of each topic that a pattern matches.
    public struct Rule: Hashable, Sendable {
        public var topics: TopicSelector
        /// The most events of a topic; `nil`: no such bound.
        public var events: Int?
        /// The most bytes of a topic, counted as ``Event/byteCount``; `nil`: no such bound.
        public var bytes: Int?
        /// The greatest age of an event; `nil`: no such bound.
        public var age: Duration?

        public init(topics: TopicSelector, events: Int? = nil, bytes: Int? = nil, age: Duration? = nil) {
            self.topics = topics
            self.events = events
            self.bytes = bytes
            self.age = age
        }
    }

    /// The first that matches applies.
    public var rules: [Rule]

    public init(_ rules: [Rule] = []) { self.rules = rules }

    public init(arrayLiteral rules: Rule...) { self.init(rules) }

    public var isEmpty: Bool { rules.isEmpty }
}

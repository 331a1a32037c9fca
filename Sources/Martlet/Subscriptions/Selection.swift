// SPDX-License-Identifier: Apache-2.0

/// What a subscription asks for and may see. Subscriptions that select the same share one feed.
public struct Selection: Hashable, Sendable {
    public var topics: Set<Topic>
    /// Whether private events of these topics are selected too.
    public var includesPrivate: Bool

    public init(topics: Set<Topic>, includesPrivate: Bool = false) {
        self.topics = topics
        self.includesPrivate = includesPrivate
    }

    public func contains(_ event: Event) -> Bool {
        (includesPrivate || !event.isPrivate) && topics.contains(event.topic)
    }
}

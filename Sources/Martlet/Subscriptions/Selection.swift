// SPDX-License-Identifier: Apache-2.0

/// What a subscription asks for and may see. Subscriptions that select the same share one feed.
public struct Selection: Hashable, Sendable {
    /// What is asked for: events whose topic any of these selects.
    public let selectors: Set<TopicSelector>
    /// Which private events may be seen: those whose topic any of these selects too.
    public let grants: Set<TopicSelector>
    /// Those that are not one topic.
    private let patterns: [TopicSelector]
    private let grantPatterns: [TopicSelector]

    public init(selectors: Set<TopicSelector>, grants: Set<TopicSelector> = []) {
        self.selectors = selectors
        self.grants = grants
        patterns = selectors.filter { !$0.isExact }
        grantPatterns = grants.filter { !$0.isExact }
    }

    /// - Parameter includesPrivate: Whether private events of these topics are selected too.
    public init(topics: Set<Topic>, includesPrivate: Bool = false) {
        self.init(selectors: Set(topics.map { TopicSelector($0) }), grants: includesPrivate ? [.every] : [])
    }

    public func contains(_ event: Event) -> Bool {
        event.hasTopic(where: selects) && maySee(event)
    }

    /// Whether the event is public, or any of its topics is granted, which may be another than the one that is asked for.
    func maySee(_ event: Event) -> Bool { !event.isPrivate || event.hasTopic(where: maySeePrivate) }

    func selects(_ topic: Topic) -> Bool {
        selectors.contains(TopicSelector(topic)) || patterns.contains { $0.matches(topic) }
    }

    func maySeePrivate(_ topic: Topic) -> Bool {
        grants.contains(TopicSelector(topic)) || grantPatterns.contains { $0.matches(topic) }
    }

    public static func == (a: Selection, b: Selection) -> Bool { a.selectors == b.selectors && a.grants == b.grants }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(selectors)
        hasher.combine(grants)
    }
}

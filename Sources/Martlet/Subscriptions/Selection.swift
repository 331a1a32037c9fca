// SPDX-License-Identifier: Apache-2.0

/// What a subscription asks for and may see. Subscriptions that select the same share one feed.
public struct Selection: Hashable, Sendable {
    private enum Content: Hashable, Sendable {
        /// One topic, without its private events: most selections are this, and need no memory of their own.
        case topic(Topic)
        case several(Several)
    }

    private let content: Content

    public init(selectors: Set<TopicSelector>, grants: Set<TopicSelector> = []) {
        if grants.isEmpty, selectors.count == 1, let topic = selectors.first?.exactTopic {
            content = .topic(topic)
        } else {
            content = .several(Several(selectors: selectors, grants: grants))
        }
    }

    /// - Parameter includesPrivate: Whether private events of these topics are selected too.
    public init(topics: Set<Topic>, includesPrivate: Bool = false) {
        self.init(selectors: Set(topics.map { TopicSelector($0) }), grants: includesPrivate ? [.every] : [])
    }

    /// What is asked for: events whose topic any of these selects.
    public var selectors: Set<TopicSelector> {
        switch content {
        case .topic(let topic): [TopicSelector(topic)]
        case .several(let several): several.selectors
        }
    }

    /// Which private events may be seen: those whose topic any of these selects too.
    public var grants: Set<TopicSelector> {
        switch content {
        case .topic: []
        case .several(let several): several.grants
        }
    }

    public func contains(_ event: Event) -> Bool {
        event.hasTopic(where: selects) && maySee(event)
    }

    /// Whether the event is public, or any of its topics is granted, which may be another than the one that is asked for.
    func maySee(_ event: Event) -> Bool { !event.isPrivate || event.hasTopic(where: maySeePrivate) }

    func selects(_ topic: Topic) -> Bool {
        switch content {
        case .topic(let only): only == topic
        case .several(let several):
            several.selectors.contains(TopicSelector(topic)) || several.patterns.contains { $0.matches(topic) }
        }
    }

    /// How many patterns a topic is held against, at most.
    var patternCount: Int {
        switch content {
        case .topic: 0
        case .several(let several): several.patterns.count + several.grantPatterns.count
        }
    }

    func maySeePrivate(_ topic: Topic) -> Bool {
        switch content {
        case .topic: false
        case .several(let several):
            several.grants.contains(TopicSelector(topic)) || several.grantPatterns.contains { $0.matches(topic) }
        }
    }
}

extension Selection {
    /// Any selectors and grants, which copies of the selection share.
    private final class Several: Hashable, Sendable {
        let selectors: Set<TopicSelector>
        let grants: Set<TopicSelector>
        /// Those that are not one topic.
        let patterns: [TopicSelector]
        let grantPatterns: [TopicSelector]

        init(selectors: Set<TopicSelector>, grants: Set<TopicSelector>) {
            self.selectors = selectors
            self.grants = grants
            patterns = selectors.filter { !$0.isExact }
            grantPatterns = grants.filter { !$0.isExact }
        }

        static func == (a: Several, b: Several) -> Bool {
            a === b || (a.selectors == b.selectors && a.grants == b.grants)
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(selectors)
            hasher.combine(grants)
        }
    }
}

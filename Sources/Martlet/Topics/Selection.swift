// SPDX-License-Identifier: Apache-2.0

/// The topics that a subscription asks for, and the private events that it may see. Subscriptions that select the same share one feed.
public struct Selection: Hashable, Sendable {
    private enum Content: Hashable, Sendable {
        /// One topic, without its private events: most selections are this, and need no memory of their own.
        case topic(Topic)
        case several(Several)
    }

    /// Which private events may be seen.
    enum Sight {
        case none
        /// Those of topics that are granted.
        case granted
        case all
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

    /// The topic, if one topic is all that is asked for, without its private events.
    var onlyTopic: Topic? { if case .topic(let topic) = content { topic } else { nil } }

    /// The subscription asks for events whose topic any of these selects.
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

    /// The topics that are asked for by name, where not all are asked for.
    var topics: [Topic] {
        switch content {
        case .topic(let topic): [topic]
        case .several(let several): several.asked.asksForAll ? [] : several.selectors.compactMap(\.exactTopic)
        }
    }

    /// The selectors that are not topics: templates, or only `*`.
    var patterns: [TopicSelector] {
        switch content {
        case .topic: []
        case .several(let several):
            several.asked.asksForAll ? [.every] : several.selectors.filter { $0.template != nil }
        }
    }

    var hasPatterns: Bool {
        switch content {
        case .topic: false
        case .several(let several): several.asked.hasPatterns
        }
    }

    var sight: Sight {
        switch content {
        case .topic: .none
        case .several(let several):
            several.grants.isEmpty ? .none : several.granted.asksForAll ? .all : .granted
        }
    }

    public func contains(_ event: Event) -> Bool {
        event.hasTopic(where: selects) && maySee(event)
    }

    /// Whether the event is public, or any of its topics is granted, which may be another than the one that is asked for.
    func maySee(_ event: Event) -> Bool { !event.isPrivate || event.hasTopic(where: maySeePrivate) }

    /// The topic under which a subscriber knows an event: the first that it has asked for, and of a private event the first
    /// that was granted. So it does not learn of the others.
    package func knownTopic(of event: Event) -> Topic {
        guard !event.alternates.isEmpty else { return event.topic }
        let topics = event.topics
        guard event.isPrivate else { return topics.first(where: selects) ?? event.topic }
        return topics.first { selects($0) && maySeePrivate($0) } ?? topics.first(where: maySeePrivate) ?? event.topic
    }

    func selects(_ topic: Topic) -> Bool {
        switch content {
        case .topic(let only): only == topic
        case .several(let several): several.selectors.contains(TopicSelector(topic)) || several.asked.select(topic)
        }
    }

    /// How many patterns a topic is held against, at most. Patterns whose states fill several words count as many times.
    package var patternCount: Int {
        switch content {
        case .topic: 0
        case .several(let several): several.asked.width + several.granted.width
        }
    }

    func maySeePrivate(_ topic: Topic) -> Bool {
        switch content {
        case .topic: false
        case .several(let several): several.grants.contains(TopicSelector(topic)) || several.granted.select(topic)
        }
    }
}

extension Selection {
    /// Any selectors and grants, which copies of the selection share.
    private final class Several: Hashable, Sendable {
        let selectors: Set<TopicSelector>
        let grants: Set<TopicSelector>
        let asked: Patterns
        let granted: Patterns

        init(selectors: Set<TopicSelector>, grants: Set<TopicSelector>) {
            self.selectors = selectors
            self.grants = grants
            asked = Patterns(of: selectors)
            granted = Patterns(of: grants)
        }

        static func == (a: Several, b: Several) -> Bool {
            a === b || (a.selectors == b.selectors && a.grants == b.grants)
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(selectors)
            hasher.combine(grants)
        }
    }

    /// Those of some selectors that are not one topic.
    private struct Patterns: Sendable {
        let asksForAll: Bool
        /// How many words the states of the templates fill, and one for `*`.
        let width: Int
        private let templates: TemplateIndex<Void>

        init(of selectors: Set<TopicSelector>) {
            var width = 0
            var templates = TemplateIndex<Void>()
            for template in selectors.lazy.compactMap(\.template) {
                width += template.width
                templates.insert((), for: template)
            }
            asksForAll = selectors.contains(.every)
            self.width = width + (asksForAll ? 1 : 0)
            self.templates = templates
        }

        var hasPatterns: Bool { width > 0 }

        func select(_ topic: Topic) -> Bool { asksForAll || !templates.visit(selecting: topic) { _ in false } }
    }
}

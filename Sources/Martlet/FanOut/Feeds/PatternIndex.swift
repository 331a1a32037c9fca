// SPDX-License-Identifier: Apache-2.0

/// Which feeds events reach by more than the name of a topic: by patterns, and by rights to private events.
///
/// It is kept outside the hub's lock, where looking for patterns may take as long as it takes. What it knows of is
/// told to it: see ``IndexChanges``.
///
/// A look-up costs what ``TemplateIndex`` says for each topic of the event, and then the feeds that are found. Of a
/// private event those are the feeds that ask for it or those that have a right to it, whichever are fewer.
struct PatternIndex {
    /// The feeds and grants that an event reaches by patterns.
    struct Route: Sendable {
        /// The feeds that select the event by a pattern, as far as they may see it.
        var feeds: [FeedID] = []
        /// The grants that let a feed see the event, where it is private; without `*`.
        var grants: Set<TopicSelector> = []
    }

    private final class Entry {
        let selector: TopicSelector
        /// The feeds that ask for the selector, by what they may see of private events.
        var blindAskers = FeedList()
        var grantedAskers = FeedList()
        var seeingAskers = FeedList()
        /// The feeds to which it is granted. Feeds that see everything are not among them.
        var grantees = FeedList()
        /// The last look-up that has found it.
        var lookUp = 0

        init(_ selector: TopicSelector) { self.selector = selector }

        var isEmpty: Bool {
            blindAskers.isEmpty && grantedAskers.isEmpty && seeingAskers.isEmpty && grantees.isEmpty
        }

        subscript(sight: Selection.Sight) -> FeedList {
            get {
                switch sight {
                case .none: blindAskers
                case .granted: grantedAskers
                case .all: seeingAskers
                }
            }
            _modify {
                switch sight {
                case .none: yield &blindAskers
                case .granted: yield &grantedAskers
                case .all: yield &seeingAskers
                }
            }
        }
    }

    private var selections: [FeedID: Selection] = [:]
    private var entries: [TopicSelector: Entry] = [:]
    private var templates = TemplateIndex<Entry>()
    private var lookUps = 0

    /// How many different selectors there are.
    var selectorCount: Int { entries.count }

    mutating func apply(_ changes: IndexChanges) {
        for (feed, selection) in changes.leaving { remove(feed, selection) }
        for (feed, selection) in changes.joining { insert(feed, selection) }
    }

    private mutating func insert(_ feed: FeedID, _ selection: Selection) {
        selections[feed] = selection
        for pattern in selection.patterns { entry(of: pattern)[selection.sight].append(feed) }
        guard selection.sight == .granted else { return }
        for grant in selection.grants { entry(of: grant).grantees.append(feed) }
    }

    private mutating func entry(of selector: TopicSelector) -> Entry {
        if let entry = entries[selector] { return entry }
        let entry = Entry(selector)
        entries[selector] = entry
        if let template = selector.template { templates.insert(entry, for: template) }
        return entry
    }

    private mutating func remove(_ feed: FeedID, _ selection: Selection) {
        selections[feed] = nil
        for pattern in selection.patterns { change(pattern) { $0[selection.sight].remove(feed) } }
        guard selection.sight == .granted else { return }
        for grant in selection.grants { change(grant) { $0.grantees.remove(feed) } }
    }

    /// Changes what is known of a selector, and forgets the selector where that is nothing any more.
    private mutating func change(_ selector: TopicSelector, _ change: (Entry) -> Void) {
        guard let entry = entries[selector] else { return }
        change(entry)
        guard entry.isEmpty else { return }
        entries[selector] = nil
        if let template = entry.selector.template { templates.remove(template) }
    }

    mutating func route(of event: Event) -> Route {
        let found = find(event)
        guard event.isPrivate else {
            return Route(
                feeds: union(of: found) { entry, feeds in
                    feeds += entry.blindAskers.feeds
                    feeds += entry.grantedAskers.feeds
                    feeds += entry.seeingAskers.feeds
                })
        }
        let grants = Set(found.lazy.filter { !$0.grantees.isEmpty }.map(\.selector))
        let askers = found.reduce(0) { $0 + $1.grantedAskers.count }
        let grantees = found.reduce(0) { $0 + $1.grantees.count }
        let seeing = union(of: found) { $1 += $0.seeingAskers.feeds }
        if askers <= grantees {
            let granted = union(of: found) { $1 += $0.grantedAskers.feeds }
            return Route(feeds: seeing + granted.filter { !isDisjoint(selections[$0]?.grants, grants) }, grants: grants)
        }
        let asked = Set(found.lazy.filter { !$0.grantedAskers.isEmpty }.map(\.selector))
        let granted = union(of: found) { $1 += $0.grantees.feeds }
        return Route(feeds: seeing + granted.filter { !isDisjoint(selections[$0]?.selectors, asked) }, grants: grants)
    }

    private func isDisjoint(_ selectors: Set<TopicSelector>?, _ others: Set<TopicSelector>) -> Bool {
        selectors?.isDisjoint(with: others) ?? true
    }

    /// The patterns and, for a private event, the grants that select any of its topics.
    private mutating func find(_ event: Event) -> [Entry] {
        lookUps += 1
        let lookUp = lookUps
        var found: [Entry] = []
        func add(_ entry: Entry) {
            guard entry.lookUp != lookUp else { return }
            entry.lookUp = lookUp
            found.append(entry)
        }
        if let every = entries[.every] { add(every) }
        event.forEachTopic { topic in
            if event.isPrivate, let exact = entries[TopicSelector(topic)] { add(exact) }
            templates.visit(selecting: topic) { entry in
                add(entry)
                return true
            }
        }
        return found
    }

    /// The feeds that a closure adds for each entry, each once. For one entry it adds none twice.
    private func union(of entries: [Entry], _ add: (Entry, inout [FeedID]) -> Void) -> [FeedID] {
        var feeds: [FeedID] = []
        for entry in entries { add(entry, &feeds) }
        guard entries.count > 1 else { return feeds }
        var seen: Set<FeedID> = []
        return feeds.filter { seen.insert($0).inserted }
    }
}

/// What the ``PatternIndex`` has yet to be told: which feeds have been opened and closed.
struct IndexChanges {
    private(set) var joining: [FeedID: Selection] = [:]
    private(set) var leaving: [FeedID: Selection] = [:]
    /// How many selectors the index has to look at, about.
    private(set) var selectorCount = 0
    private var areCalledMany = false

    /// How many selectors are so many that the index is told of them before there is an event.
    static let many = 1024

    mutating func join(_ feed: FeedID, _ selection: Selection) {
        joining[feed] = selection
        selectorCount += 1 + selection.patternCount
    }

    /// A feed that joins and leaves before the index is told of it was never there. So there are no more changes than
    /// feeds are open, or were when the index was told.
    mutating func leave(_ feed: FeedID, _ selection: Selection) {
        let isNew = joining.removeValue(forKey: feed) != nil
        if !isNew { leaving[feed] = selection }
        selectorCount += (isNew ? -1 : 1) * (1 + selection.patternCount)
    }

    /// Whether the changes have come to be many: `true` once.
    mutating func haveBecomeMany() -> Bool {
        guard selectorCount >= Self.many, !areCalledMany else { return false }
        areCalledMany = true
        return true
    }
}

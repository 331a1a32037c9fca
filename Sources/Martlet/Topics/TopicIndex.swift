// SPDX-License-Identifier: Apache-2.0

/// Which feeds an event reaches: those of its exact topic, and those of the patterns that select it.
///
/// The cost of a look-up does not depend on how many topics there are, and that of a change not on how many feeds. Patterns
/// are held against a topic once, and the answer is remembered for as many topics as the bound says, until there is
/// another pattern or one less.
struct TopicIndex {
    private var lists: [TopicSelector: FeedList] = [:]
    /// The selectors among those that are not one topic.
    private var patterns: Set<TopicSelector> = []
    private var answers: [Topic: [TopicSelector]] = [:]
    /// How many patterns the answers name.
    private var answered = 0
    private let mostAnswers: Int
    private let mostAnswered: Int

    /// - Parameters:
    ///   - mostAnswers: For how many topics it is remembered which patterns select them.
    ///   - mostAnswered: How many patterns the answers may name in all.
    init(mostAnswers: Int = 4096, mostAnswered: Int = 65_536) {
        self.mostAnswers = mostAnswers
        self.mostAnswered = mostAnswered
    }

    /// How many different selectors there are.
    var selectorCount: Int { lists.count }

    /// The feeds that an event of a topic reaches, each once.
    mutating func feeds(of topic: Topic) -> [FeedID] {
        let exact = lists[TopicSelector(topic)].map { Array($0.feeds) } ?? []
        guard !patterns.isEmpty else { return exact }
        var all = exact
        for pattern in patterns(selecting: topic) { all += lists[pattern]?.feeds ?? ShortList() }
        guard all.count > exact.count, all.count > 1 else { return all }
        var seen: Set<FeedID> = []
        return all.filter { seen.insert($0).inserted }
    }

    private mutating func patterns(selecting topic: Topic) -> [TopicSelector] {
        if let known = answers[topic] { return known }
        let selecting = patterns.filter { $0.matches(topic) }
        if answers.count >= mostAnswers || answered + selecting.count > mostAnswered { forgetAnswers() }
        if selecting.count <= mostAnswered {
            answers[topic] = Array(selecting)
            answered += selecting.count
        }
        return Array(selecting)
    }

    private mutating func forgetAnswers() {
        answers = [:]
        answered = 0
    }

    mutating func insert(_ feed: FeedID, for selectors: Set<TopicSelector>) {
        for selector in selectors {
            lists[selector, default: FeedList()].append(feed)
            if !selector.isExact, patterns.insert(selector).inserted { forgetAnswers() }
        }
    }

    mutating func remove(_ feed: FeedID, for selectors: Set<TopicSelector>) {
        for selector in selectors {
            lists[selector]?.remove(feed)
            guard lists[selector]?.feeds.isEmpty == true else { continue }
            lists[selector] = nil
            if patterns.remove(selector) != nil { forgetAnswers() }
        }
    }
}

/// The feeds of a selector, in no order.
private struct FeedList {
    private(set) var feeds = ShortList<FeedID>()
    /// Where in the list a feed is; only for lists that take long to search.
    private var places: [FeedID: Int] = [:]

    private static let longest = 32

    mutating func append(_ feed: FeedID) {
        feeds.append(feed)
        guard feeds.count > Self.longest else { return }
        if places.isEmpty {
            for (place, feed) in feeds.enumerated() { places[feed] = place }
        } else {
            places[feed] = feeds.count - 1
        }
    }

    /// Takes a feed out; the last takes its place.
    mutating func remove(_ feed: FeedID) {
        guard let place = places.isEmpty ? feeds.firstIndex(of: feed) : places[feed] else { return }
        feeds.swapRemove(at: place)
        if feeds.count <= Self.longest { places = [:] } else { places[feed] = nil }
        if !places.isEmpty, place < feeds.count { places[feeds[place]] = place }
    }
}

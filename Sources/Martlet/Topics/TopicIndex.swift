// SPDX-License-Identifier: Apache-2.0

/// Which feeds an event reaches, by the exact name of its topic.
///
/// The cost of a look-up does not depend on how many topics there are, and that of a change not on how many feeds.
struct TopicIndex {
    private var lists: [Topic: FeedList] = [:]

    var topicCount: Int { lists.count }

    subscript(topic: Topic) -> [FeedID] { lists[topic]?.feeds ?? [] }

    mutating func insert(_ feed: FeedID, for topics: Set<Topic>) {
        for topic in topics { lists[topic, default: FeedList()].append(feed) }
    }

    mutating func remove(_ feed: FeedID, for topics: Set<Topic>) {
        for topic in topics {
            lists[topic]?.remove(feed)
            if lists[topic]?.feeds.isEmpty == true { lists[topic] = nil }
        }
    }
}

/// The feeds of a topic, in no order.
private struct FeedList {
    private(set) var feeds: [FeedID] = []
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
        guard let place = places.isEmpty ? feeds.firstIndex(of: feed) : places[feed], let last = feeds.popLast()
        else { return }
        if feeds.count <= Self.longest { places = [:] } else { places[feed] = nil }
        guard place < feeds.count else { return }
        feeds[place] = last
        if !places.isEmpty { places[last] = place }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Which feeds an event reaches, by the exact name of its topic.
///
/// The cost of a look-up does not depend on how many topics there are.
struct TopicIndex {
    private var feeds: [Topic: [FeedID]] = [:]

    var topicCount: Int { feeds.count }

    subscript(topic: Topic) -> [FeedID] { feeds[topic] ?? [] }

    mutating func insert(_ feed: FeedID, for topics: Set<Topic>) {
        for topic in topics {
            feeds[topic, default: []].append(feed)
        }
    }

    mutating func remove(_ feed: FeedID, for topics: Set<Topic>) {
        for topic in topics {
            feeds[topic]?.removeAll { $0 == feed }
            if feeds[topic]?.isEmpty == true { feeds[topic] = nil }
        }
    }
}

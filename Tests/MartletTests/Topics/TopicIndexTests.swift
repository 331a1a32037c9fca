// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import Testing

@testable import Martlet

@Suite("The topic index")
struct TopicIndexTests {
    @Test("It finds what was put in and not taken out, in short lists and in long ones", arguments: [3, 32, 33, 500])
    func likeASet(count: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var index = TopicIndex()
        var expected: [Topic: Set<FeedID>] = [:]
        let topics: [Topic] = ["a", "b"]
        for round in 0..<count * 6 {
            let feed = FeedID(rawValue: UInt64(round))
            let selected = Set(topics.filter { _ in Bool.random(using: &random) })
            index.insert(feed, for: Set(selected.map { TopicSelector($0) }))
            for topic in selected { expected[topic, default: []].insert(feed) }
            for topic in topics
            where (expected[topic]?.count ?? 0) > count || Int.random(in: 0..<4, using: &random) == 0 {
                guard let gone = expected[topic]?.randomElement(using: &random) else { continue }
                index.remove(gone, for: [TopicSelector(topic)])
                expected[topic]?.remove(gone)
            }
            for topic in topics {
                #expect(index.feeds(of: topic).count == expected[topic]?.count ?? 0, "seed \(seed)")
                #expect(Set(index.feeds(of: topic)) == expected[topic] ?? [], "seed \(seed)")
            }
        }
        for (topic, feeds) in expected { for feed in feeds { index.remove(feed, for: [TopicSelector(topic)]) } }
        #expect(index.selectorCount == 0)
    }

    @Test("A feed is found by its topic and by its patterns, once, for as long as it is there")
    func patterns() {
        var index = TopicIndex(mostAnswers: 2)
        let feeds = (1...3).map { FeedID(rawValue: $0) }
        index.insert(feeds[0], for: [TopicSelector("orders/42"), TopicSelector("orders/{id}")])
        #expect(index.feeds(of: "orders/42") == [feeds[0]])
        // What was answered before does not hide what comes later.
        index.insert(feeds[1], for: [.every])
        index.insert(feeds[2], for: [TopicSelector("orders/{id}")])
        for topic in ["orders/1", "orders/42", "orders/2", "orders/1"] as [Topic] {
            #expect(Set(index.feeds(of: topic)) == Set(feeds))
            #expect(index.feeds(of: topic).count == 3)
        }
        #expect(index.feeds(of: "news") == [feeds[1]])
        index.remove(feeds[1], for: [.every])
        #expect(index.feeds(of: "news") == [])
        index.remove(feeds[0], for: [TopicSelector("orders/42"), TopicSelector("orders/{id}")])
        #expect(index.feeds(of: "orders/42") == [feeds[2]])
    }
}

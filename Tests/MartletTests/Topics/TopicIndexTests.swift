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
            index.insert(feed, for: selected)
            for topic in selected { expected[topic, default: []].insert(feed) }
            for topic in topics
            where (expected[topic]?.count ?? 0) > count || Int.random(in: 0..<4, using: &random) == 0 {
                guard let gone = expected[topic]?.randomElement(using: &random) else { continue }
                index.remove(gone, for: [topic])
                expected[topic]?.remove(gone)
            }
            for topic in topics {
                #expect(index[topic].count == expected[topic]?.count ?? 0, "seed \(seed)")
                #expect(Set(index[topic]) == expected[topic] ?? [], "seed \(seed)")
            }
        }
        for (topic, feeds) in expected { for feed in feeds { index.remove(feed, for: [topic]) } }
        #expect(index.topicCount == 0)
    }
}

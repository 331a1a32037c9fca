// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting

extension HubSimulation {
    static let topics: [Topic] = ["t/0", "t/1", "t/2", "t/3", "t/4", "t/5"]

    /// An event with data like that of no other. The last topic is rare, and ids come again.
    mutating func makeEvent() -> Event {
        func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
        made += 1
        let topic = chance(3) ? Self.topics[5] : Self.topics[Int.random(in: 0..<5, using: &random)]
        let alternates = Self.topics.filter { $0 != topic }.shuffled(using: &random)
        return Event(
            topic: topic, alternates: chance(15) ? Array(alternates.prefix(chance(50) ? 1 : 2)) : [],
            data: "\(made)" + String(repeating: ".", count: Int.random(in: 0...100, using: &random)),
            id: chance(25) ? "own \(Int.random(in: 0..<80, using: &random))" : nil, type: chance(10) ? "update" : nil,
            retry: chance(5) ? made : nil, key: chance(10) ? "key" : nil, isPrivate: chance(20))
    }
}

extension Selection {
    /// Some topics, a pattern, or everything, with or without rights.
    static func random(using random: inout some RandomNumberGenerator) -> Selection {
        let topics = HubSimulation.topics.shuffled(using: &random).map { TopicSelector($0) }
        let selectors: Set<TopicSelector> =
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5: [topics[0]]
            case 5, 6: Set(topics.prefix(Int.random(in: 2...3, using: &random)))
            case 7: [TopicSelector("t/{number}")]
            case 8: [TopicSelector("t/0"), TopicSelector("other")]
            default: [.every]
            }
        let grants: Set<TopicSelector> =
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4: []
            case 4..<7: [.every]
            case 7: [TopicSelector("t/{number}")]
            default: Set(topics.prefix(Int.random(in: 1...2, using: &random)))
            }
        return Selection(selectors: selectors, grants: grants)
    }
}

// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

@Suite struct SelectionTests {
    /// Few selectors, or so many that they are told apart.
    private static func selectors(using random: inout SeededGenerator) -> Set<TopicSelector> {
        let count = [1, 3, 40, 200].randomElement(using: &random)!
        let texts = ["N", "a/N", "a/{x}/N", "{+p}/N", "a/N{/x}", "/{t}/a/N/{x}", "{x}", "*"]
        return Set(
            (0..<count).map { number in
                let text = texts[Int.random(in: 0..<texts.count - (number % 50 == 7 ? 0 : 2), using: &random)]
                return TopicSelector(text.replacing("N", with: "\(Int.random(in: 0..<40, using: &random))"))
            })
    }

    private static func topic(using random: inout SeededGenerator) throws -> Topic {
        let text = ["N", "a/N", "a/b/N", "b/c/N", "a/N/b", "/t/a/N/x", "*"].randomElement(using: &random)!
        return try Topic(text.replacing("N", with: "\(Int.random(in: 0..<40, using: &random))"))
    }

    @Test("An event is selected by any selector of any topic, and seen by any grant of any topic")
    func eventIsSelectedByAny() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var selected = 0
        for _ in 0..<200 {
            let selectors = Self.selectors(using: &random)
            let grants = Bool.random(using: &random) ? [] : Self.selectors(using: &random)
            let selection = Selection(selectors: selectors, grants: grants)
            #expect(selection.selectors == selectors && selection.grants == grants)
            for _ in 0..<20 {
                let event = Event(
                    topic: try Self.topic(using: &random), alternates: [try Self.topic(using: &random)], data: "",
                    isPrivate: Bool.random(using: &random))
                func isIn(_ set: Set<TopicSelector>) -> Bool {
                    event.topics.contains { topic in set.contains { $0.matches(topic) } }
                }
                let isSelected = isIn(selectors) && (!event.isPrivate || isIn(grants))
                try #require(selection.contains(event) == isSelected, "seed \(seed)")
                selected += isSelected ? 1 : 0
            }
        }
        #expect(selected > 100, "seed \(seed)")
    }
}

// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

@Suite struct TemplateIndexTests {
    /// The templates of a selector with the values that the index has for them.
    private struct Indexed {
        private var index = TemplateIndex<String>()
        private(set) var selectors: [TopicSelector] = []

        mutating func insert(_ text: String) {
            let selector = TopicSelector(text)
            guard let template = selector.template, !selectors.contains(selector) else { return }
            selectors.append(selector)
            index.insert(text, for: template)
        }

        mutating func remove(at place: Int) {
            guard let template = selectors.remove(at: place).template else { return }
            index.remove(template)
        }

        func found(_ topic: Topic) -> [String] {
            var found: [String] = []
            index.visit(selecting: topic) { value in
                found.append(value)
                return true
            }
            return found
        }

        /// How many templates a topic is held against.
        func candidateCount(_ topic: Topic) -> Int {
            var count = 0
            _ = index.visitCandidates(of: Array(topic.name.utf8)) { _, _ in
                count += 1
                return true
            }
            return count
        }
    }

    /// A template like others: few are told apart by one of their texts alone.
    private static func template(using random: inout SeededGenerator) -> String {
        let texts = ["", "", "a", "/", "b/", "users/", "/%2F", "0123456789abcdefg", "\u{E9}"]
        let expressions = ["{x}", "{+y}", "{/z}", "{?q*}", "{a,b}", "{.c}"]
        var text = texts.randomElement(using: &random)!
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            text += expressions.randomElement(using: &random)! + texts.randomElement(using: &random)!
            if Bool.random(using: &random) { text += "\(Int.random(in: 0..<30, using: &random))" }
        }
        return text
    }

    /// What a template may stand for, or nearly.
    private static func topic(_ selector: TopicSelector?, using random: inout SeededGenerator) -> Topic? {
        guard let selector, Int.random(in: 0..<10, using: &random) > 0 else {
            return try? Topic(template(using: &random))
        }
        let text = TemplateModel(selector.text).expand(TemplateValue.randomValues(using: &random))
        return try? Topic(Bool.random(using: &random) ? text : text.mutated(using: &random))
    }

    @Test("The index finds the templates that select a topic, whatever comes and goes", arguments: [20, 200, 1_000])
    func indexFindsTheTemplates(size: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var indexed = Indexed()
        var found = 0
        for round in 0..<size * 3 {
            if indexed.selectors.count < size, Int.random(in: 0..<4, using: &random) > 0 {
                indexed.insert(Self.template(using: &random))
            } else if !indexed.selectors.isEmpty {
                indexed.remove(at: Int.random(in: 0..<indexed.selectors.count, using: &random))
            }
            guard round % max(1, size / 100) == 0 else { continue }
            guard let topic = Self.topic(indexed.selectors.randomElement(using: &random), using: &random) else {
                continue
            }
            let expected = indexed.selectors.filter { $0.matches(topic) }.map(\.text)
            try #require(indexed.found(topic).sorted() == expected.sorted(), "seed \(seed): \(topic)")
            found += expected.count
        }
        #expect(found > 20, "seed \(seed)")
        while !indexed.selectors.isEmpty { indexed.remove(at: indexed.selectors.count - 1) }
        #expect(indexed.candidateCount("users/7/inbox") == 0)
    }

    @Test("Random templates are found as each of them selects")
    func randomTemplatesAreFound() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var indexed = Indexed()
        while indexed.selectors.count < 300 { indexed.insert(TemplateModel.random(using: &random).description) }
        for _ in 0..<500 {
            guard let topic = Self.topic(indexed.selectors.randomElement(using: &random), using: &random) else {
                continue
            }
            let expected = indexed.selectors.filter { $0.matches(topic) }.map(\.text)
            try #require(indexed.found(topic).sorted() == expected.sorted(), "seed \(seed): \(topic)")
        }
    }

    @Test(
        "A topic is compared with few of many templates whose literal texts differ",
        arguments: [
            ("users/N/{x}", "users/7/inbox"),
            ("{+a}/N", "news/7"),
            ("news/{a}/N", "news/today/7"),
            ("/{tenant}/users/N/{x}", "/acme/users/7/inbox"),
            ("/{tenant}/N/{kind}/messages/{x}", "/acme/7/chat/messages/1"),
            (
                "{base}/organisations/members/N/notifications/unread/{x}",
                "a/organisations/members/7/notifications/unread/1"
            ),
            ("{+a}nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn/N", "nnnn/7"),
        ])
    func topicIsHeldAgainstFew(
        template: String, topic: String
    ) throws {
        var index = TemplateIndex<Int>()
        for number in 0..<3_000 {
            let text = template.replacing("N", with: "\(number)")
            index.insert(number, for: try #require(TopicSelector(text).template))
        }
        var candidates: [Int] = []
        _ = index.visitCandidates(of: Array(topic.utf8)) { _, number in
            candidates.append(number)
            return true
        }
        #expect(candidates.count <= TemplateIndex<Int>.crowd)
        #expect(candidates.contains(7) || topic == "nnnn/7")
    }

    @Test("A visit ends when it has seen enough")
    func visitEnds() throws {
        var index = TemplateIndex<Int>()
        for number in 0..<100 { index.insert(number, for: try #require(TopicSelector("{a}{+b\(number)}").template)) }
        var seen = 0
        #expect(
            !index.visit(selecting: "x") { _ in
                seen += 1
                return seen < 3
            })
        #expect(seen == 3)
    }
}

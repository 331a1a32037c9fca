// SPDX-License-Identifier: Apache-2.0

import Martlet
import TestSupport
import Testing

@Suite("The memory of trimmed topics")
struct TrimmedTopicsTests {
    private func insert(_ count: Int, into trimmed: inout TrimmedTopics) throws {
        for offset in 1...count { trimmed.insert(Event(topic: try Topic("t\(offset)"), data: ""), at: UInt64(offset)) }
    }

    @Test("Without removed events, nothing is missing")
    func empty() {
        #expect(!TrimmedTopics(capacity: 4).contains(.of("t1"), after: 0))
    }

    @Test("The last event of a topic that was removed counts")
    func last() {
        var trimmed = TrimmedTopics(capacity: 4)
        for offset in [3, 5, 9] as [UInt64] { trimmed.insert(Event(topic: "t1", data: ""), at: offset) }
        #expect(trimmed.contains(.of("t1"), after: 8))
        #expect(!trimmed.contains(.of("t1"), after: 9))
        #expect(!trimmed.contains(.of("t2"), after: 0))
        #expect(trimmed.contains(.of("t1", "t2"), after: 8))
    }

    @Test("Private events count only for subscribers that may see them")
    func privateEvents() {
        var trimmed = TrimmedTopics(capacity: 4)
        trimmed.insert(Event(topic: "t1", data: "", isPrivate: false), at: 1)
        trimmed.insert(Event(topic: "t1", data: "", isPrivate: true), at: 2)
        #expect(!trimmed.contains(.of("t1"), after: 1))
        #expect(trimmed.contains(.of("t1", includesPrivate: true), after: 1))
        #expect(!trimmed.contains(.of("t1", includesPrivate: true), after: 2))
    }

    @Test("Topics are told apart up to the capacity; with one more, the older half is not")
    func capacity() throws {
        var trimmed = TrimmedTopics(capacity: 4)
        try insert(4, into: &trimmed)
        for offset in 1...4 as ClosedRange<UInt64> {
            let selection = Selection(topics: [try Topic("t\(offset)")])
            #expect(trimmed.contains(selection, after: offset - 1))
            #expect(!trimmed.contains(selection, after: offset))
        }
        trimmed.insert(Event(topic: "t5", data: ""), at: 5)
        for topic in ["t1", "t2", "t3", "never"] as [Topic] {
            #expect(trimmed.contains(.of(topic), after: 2))
            #expect(!trimmed.contains(.of(topic), after: 3))
        }
        for offset in [4, 5] as [UInt64] {
            let selection = Selection(topics: [try Topic("t\(offset)")])
            #expect(trimmed.contains(selection, after: offset - 1))
            #expect(!trimmed.contains(selection, after: offset))
        }
    }

    @Test("Stored lines are read as they were written, whatever a topic begins with")
    func lines() throws {
        let names = ["\u{301}x", "\u{200D}", "\u{1F3FB}", " x", " \u{301}x", "x ", "a b", "e 1", "\u{E9}", "e\u{301}"]
        let topics = try names.map { try Topic($0) }
        var trimmed = TrimmedTopics(capacity: 100)
        for (number, topic) in topics.enumerated() {
            let event = Event(
                topic: topic, alternates: number % 3 == 1 ? ["other"] : [], data: "",
                isPrivate: number % 2 == 1)
            trimmed.insert(event, at: UInt64(number + 1))
        }
        var again = TrimmedTopics(capacity: 100)
        let isRead = again.insert(lines: trimmed.lines)
        #expect(isRead)
        #expect(
            Set(again.lines.utf8.split(separator: 0x0A).map(Array.init))
                == Set(trimmed.lines.utf8.split(separator: 0x0A).map(Array.init)))
        for (number, topic) in topics.enumerated() {
            let selection = Selection(topics: [topic], includesPrivate: true)
            #expect(again.contains(selection, after: UInt64(number)), "\(topic)")
            #expect(!again.contains(selection, after: UInt64(number + 1)), "\(topic)")
        }
    }

    @Test(
        "Damaged lines are refused",
        arguments: ["", "x", "0\n", "0\n1", "0\n1 e", "0\n1 e ", "0\n1 x a", "0\nx e a", "0 e a"])
    func damagedLines(lines: String) {
        var trimmed = TrimmedTopics(capacity: 100)
        let isRead = trimmed.insert(lines: lines)
        #expect(!isRead)
    }

    @Test("A removed event is never denied", arguments: [2, 3, 8])
    func honest(capacity: Int) throws {
        for seed in UInt64(0)..<20 {
            var generator = SeededGenerator(seed: seed)
            var trimmed = TrimmedTopics(capacity: capacity)
            var last: [Topic: UInt64] = [:]
            for offset in 1...100 as ClosedRange<UInt64> {
                let topic = try Topic("t\(Int.random(in: 0..<12, using: &generator))")
                trimmed.insert(Event(topic: topic, data: ""), at: offset)
                last[topic] = offset
                for (topic, last) in last {
                    let place = UInt64.random(in: 0..<last, using: &generator)
                    try #require(trimmed.contains(.of(topic), after: place), "seed \(seed), \(topic) after \(place)")
                }
                try #require(!trimmed.contains(.of(topic), after: offset), "seed \(seed), \(topic) at its end")
            }
        }
    }
}

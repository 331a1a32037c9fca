// SPDX-License-Identifier: Apache-2.0

import Martlet
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("The index of a log in a file")
struct IndexTests {
    @Test("Texts are found where they occur, the oldest first, while old ones are removed", arguments: [1, 3, 200])
    func offsets(differentTexts: Int) {
        var generator = SeededGenerator(seed: UInt64(differentTexts))
        var table = OffsetTable()
        var model: [(text: String, offset: UInt64)] = []
        for offset in UInt64(1)...2000 {
            let text = "text \(Int.random(in: 0..<differentTexts, using: &generator))"
            if Bool.random(using: &generator) {
                table.append(text, at: offset)
                model.append((text, offset))
            }
            if offset % 100 == 0 {
                let removed = offset - UInt64.random(in: 0..<100, using: &generator)
                table.removeFirst(through: removed)
                model.removeAll { $0.offset <= removed }
            }
            guard offset % 10 == 0 else { continue }
            for number in 0...min(differentTexts, 10) {
                let expected = model.filter { $0.text == "text \(number)" }.map(\.offset)
                #expect(table.offsets(of: "text \(number)") == expected)
            }
        }
    }

    @Test("The events of topics are found across blocks, together with events that have several topics")
    func topics() throws {
        var generator = SeededGenerator(seed: 1)
        let names: [Topic] = ["a", "b", "c", "d"]
        var column = TopicColumn()
        var events: [Event] = []
        for _ in 0..<10_000 {
            let topic = names[Int.random(in: 0..<4, using: &generator)]
            let others: [Topic] = Int.random(in: 0..<50, using: &generator) == 0 ? ["e"] : []
            events.append(Event(topic: topic, alternates: others, data: ""))
            column.append(events[events.count - 1], at: UInt64(100 + events.count))
        }
        column.removeFirst(through: 4500)
        for wanted in [[names[0]], [names[1], names[3]], ["none"]] as [[Topic]] {
            for range in [4501...10_100, 4501...4501, 8192...8300, 10_100...10_100] as [ClosedRange<UInt64>] {
                let expected = range.filter { offset in
                    let event = events[Int(offset - 101)]
                    return wanted.contains(event.topic) || !event.alternates.isEmpty
                }
                for count in [1, 100, 10_000] {
                    let found = column.find(Set(wanted.map(TopicColumn.tag)), in: range, atMost: count)
                    #expect(found == Array(expected.prefix(count)))
                }
            }
        }
    }

    @Test("A checksum changes with every bit, with the place of a value and with where a text ends")
    func checksum() {
        func sum(_ texts: [String?], _ number: Int64) -> Int64 {
            var checksum = Checksum()
            for text in texts { checksum.combine(text) }
            checksum.combine(number)
            return checksum.value
        }
        var sums: Set<Int64> = [sum(["a text of some length", nil], 0)]
        var count = 1
        for bit in 0..<64 {
            sums.insert(sum(["a text of some length", nil], 1 << bit))
            count += 1
        }
        for index in 0..<21 {
            for bit in 0..<7 {
                var bytes = Array("a text of some length".utf8)
                bytes[index] ^= 1 << bit
                sums.insert(sum([String(decoding: bytes, as: UTF8.self), nil], 0))
                count += 1
            }
        }
        for texts in [["a text of some length", ""], [nil, "a text of some length"], ["a text of some", " length"]] {
            sums.insert(sum(texts, 0))
            count += 1
        }
        #expect(sums.count == count)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import TestSupport
import Testing

@Suite("Gaps of the log in memory", .timeLimit(.minutes(10)))
struct MemoryLogGapTests {
    private let clock = ManualClock()

    private func log(keeping events: Int, trimmedTopics: Int = 65_536) -> MemoryLog<ManualClock> {
        MemoryLog(retention: Retention(events: events), clock: clock, trimmedTopics: trimmedTopics)
    }

    @Test("A client that missed events continues behind the last removed one")
    func trimmed() async throws {
        let log = log(keeping: 2)
        let positions = try await log.append("news", "1", "2", "3", "4", "5")
        for position in positions[..<2] {
            let resolution = try await log.resolve(position.text, for: .of("news"))
            #expect(resolution == Resolution(position: positions[2], gap: .trimmed))
            for selection in [nil, Selection.of("news")] {
                let slice = try await log.read(selection, after: position, through: positions[4], limit: SliceLimit())
                #expect(slice.gap == positions[2])
                #expect(slice.records.map(\.event.data) == ["4", "5"])
                #expect(slice.end == positions[4])
            }
        }
        for position in positions[2...] {
            let resolution = try await log.resolve(position.text, for: .of("news"))
            #expect(resolution == Resolution(position: position))
            let slice = try await log.read(nil, after: position, through: positions[4], limit: SliceLimit())
            #expect(slice.gap == nil)
        }
    }

    @Test("No event is missing after the earliest position")
    func earliest() async throws {
        let log = log(keeping: 2)
        let positions = try await log.append("news", "1", "2", "3", "4", "5")
        #expect(try await log.resolve("earliest", for: .of("news")) == Resolution(position: .earliest))
        let slice = try await log.read(.of("news"), after: .earliest, through: positions[4], limit: SliceLimit())
        #expect(slice.gap == nil)
        #expect(slice.records.map(\.event.data) == ["4", "5"])
    }

    @Test("Only the first slice of a reader has the gap")
    func oneGap() async throws {
        let log = log(keeping: 3)
        let positions = try await log.append("news", "1", "2", "3", "4", "5")
        let limit = SliceLimit(events: 1)
        var slice = try await log.read(nil, after: positions[0], through: positions[4], limit: limit)
        #expect(slice.gap == positions[1])
        slice = try await log.read(nil, after: slice.end, through: positions[4], limit: limit)
        #expect(slice.gap == nil)
        #expect(slice.records.map(\.event.data) == ["4"])
    }

    @Test("A reader that selects nothing gets no gap")
    func nothingWanted() async throws {
        let log = log(keeping: 2)
        let positions = try await log.append("news", "1", "2", "3", "4", "5")
        for selection in [nil, Selection.of("news")] {
            let slice = try await log.read(selection, after: positions[0], through: positions[0], limit: SliceLimit())
            #expect(slice == Slice(records: [], end: positions[0], isComplete: true))
        }
    }

    @Test("A quiet topic has no gap after a day on which everything of a busy one went by")
    func quietTopic() async throws {
        let log = MemoryLog(retention: Retention(age: .seconds(3600)), clock: clock)
        var tailed = try await log.open()
        let before = tailed
        let quiet = try await log.append("quiet", "1")[0]
        for minute in 0..<24 * 60 {
            try await log.append("busy", "\(minute)")
            tailed = try await log.tail(after: tailed, limit: SliceLimit()).end
            clock.advance(by: .seconds(60))
        }
        #expect(try await log.resolve(quiet.text, for: .of("quiet")) == Resolution(position: quiet))
        #expect(try await log.resolve(quiet.text, for: .of("silent")) == Resolution(position: quiet))
        let busy = try await log.resolve(quiet.text, for: .of("quiet", "busy"))
        #expect(busy.gap == .trimmed)
        #expect(log.covers(busy.position, quiet))
        // A client that has not seen the only event of the topic has missed it.
        #expect(try await log.resolve(before.text, for: .of("quiet")).gap == .trimmed)

        let next = try await log.append("quiet", "2")[0]
        let slice = try await log.read(.of("quiet"), after: quiet, through: next, limit: SliceLimit())
        #expect(slice.gap == nil)
        #expect(slice.records.map(\.event.data) == ["2"])
    }

    @Test("Topics are remembered up to the bound; with one more, the older half shares its end")
    func trimmedTopicsBound() async throws {
        let log = log(keeping: 0, trimmedTopics: 4)
        let start = try await log.open()
        let names = ["t1", "t2", "t3", "t4"]
        var positions: [Position] = []
        for name in names { positions += try await log.append(Topic(name), "x") }
        var tailed = try await log.tail(after: start, limit: SliceLimit()).end
        for (number, name) in names.enumerated() {
            let selection = Selection(topics: [try Topic(name)])
            let before = number == 0 ? start : positions[number - 1]
            #expect(try await log.resolve(before.text, for: selection).gap == .trimmed)
            #expect(try await log.resolve(positions[number].text, for: selection).gap == nil)
        }
        #expect(try await log.resolve(start.text, for: .of("silent")).gap == nil)

        positions += try await log.append("t5", "x")
        tailed = try await log.tail(after: tailed, limit: SliceLimit()).end
        #expect(try await log.resolve(tailed.text, for: .of("t5")).gap == nil)
        #expect(log.size.events == 0)
        // The last events of t1, t2 and t3 are only known to be in the first three.
        for topic in ["t1", "t2", "t3", "silent"] as [Topic] {
            #expect(try await log.resolve(positions[1].text, for: .of(topic)).gap == .trimmed)
            #expect(try await log.resolve(positions[2].text, for: .of(topic)).gap == nil)
        }
        #expect(try await log.resolve(positions[2].text, for: .of("t4")).gap == .trimmed)
        #expect(try await log.resolve(positions[3].text, for: .of("t4")).gap == nil)
        #expect(try await log.resolve(positions[3].text, for: .of("t5")).gap == .trimmed)
    }

    @Test("Private events of a topic are no gap for clients that may not see them")
    func privateEvents() async throws {
        let log = log(keeping: 1)
        let secret = Event(topic: "news", data: "secret", isPrivate: true)
        let positions = try await log.append("news", "1") + log.append([secret, secret]) + log.append("other", "x")
        let others = try await log.resolve(positions[0].text, for: .of("news"))
        #expect(others == Resolution(position: positions[0]))
        let slice = try await log.read(.of("news"), after: positions[0], through: positions[3], limit: SliceLimit())
        #expect(slice.gap == nil)
        let all = try await log.resolve(positions[0].text, for: .of("news", includesPrivate: true))
        #expect(all == Resolution(position: positions[2], gap: .trimmed))
    }

    @Test("A repeated id of which an occurrence was removed is a gap, and unknown in the end")
    func repeatedID() async throws {
        let log = log(keeping: 2)
        let event = Event(topic: "news", data: "x", id: "again")
        let first = try await log.append([event])[0]
        try await log.append("news", "2")
        #expect(try await log.resolve("again", for: .of("news")) == Resolution(position: first))
        _ = try await log.append([event])
        let doubtful = Resolution(position: first, gap: .trimmed)
        #expect(try await log.resolve("again", for: .of("news")) == doubtful)
        let fourth = try await log.append("news", "4", "5")[0]
        #expect(try await log.resolve("again", for: .of("news")).gap == .unknown)
        let again = try await log.append([event])[0]
        #expect(try await log.resolve("again", for: .of("news")) == Resolution(position: again))
        #expect(log.covers(again, fourth))
    }

    @Test("A position that the log never reached is rolled back")
    func rolledBack() async throws {
        let log = log(keeping: 10)
        let positions = try await log.append("news", "1", "2")
        let epoch = try #require(positions[1].text.split(separator: "-").first)
        #expect(try await log.resolve("\(epoch)-2", for: .of("news")) == Resolution(position: positions[1]))
        for offset in ["3", "\(UInt64.max)"] {
            let resolution = try await log.resolve("\(epoch)-\(offset)", for: .of("news"))
            #expect(try resolution == Resolution(position: Position("\(epoch)-0"), gap: .rolledBack))
        }
        for offset in ["", "+2", "2 ", "18446744073709551616"] {
            let resolution = try await log.resolve("\(epoch)-\(offset)", for: .of("news"))
            #expect(try resolution.position == Position("\(epoch)-0"))
            #expect(resolution.gap != nil)
        }
    }

    @Test("A tail that is behind history gets a gap")
    func tailGap() async throws {
        let log = log(keeping: 2)
        let positions = try await log.append("news", "1", "2", "3", "4", "5")
        let slice = try await log.tail(after: positions[0], limit: SliceLimit())
        #expect(slice.gap == positions[2])
        #expect(slice.records.map(\.event.data) == ["4", "5"])
        #expect(slice.end == positions[4])
        let none = try await log.tail(after: positions[2], limit: SliceLimit())
        #expect(none.gap == nil)
    }

    @Test("A tail from the earliest position gets no gap")
    func tailFromEarliest() async throws {
        let log = log(keeping: 2)
        try await log.append("news", "1", "2", "3", "4", "5")
        let slice = try await log.tail(after: .earliest, limit: SliceLimit())
        #expect(slice.gap == nil)
        #expect(slice.records.map(\.event.data) == ["4", "5"])
    }

    @Test("A tail from the earliest position waits if everything was removed")
    func tailFromEarliestOfNothing() async throws {
        let log = log(keeping: 0)
        try await log.append("news", "1", "2")
        let tail = Task {
            // A cancelled task never waits.
            withUnsafeCurrentTask { $0?.cancel() }
            return try await log.tail(after: .earliest, limit: SliceLimit())
        }
        await #expect(throws: CancellationError.self) { try await tail.value }
    }
}

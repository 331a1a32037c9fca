// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import TestSupport
import Testing

@testable import Martlet

@Suite("Cursors between history and the window", .timeLimit(.minutes(10)))
struct FeedPlacingTests {
    private static let topics: [Topic] = ["a", "b", "c", "d"]

    @Test("With a vector as position a cursor goes on live only where it has exactly what a mark has")
    func vectors() async throws {
        let log = VectorLog()
        let tail = try await log.open()
        var table = FeedTable(tail: tail, windowBytes: 1 << 20)
        let feed = try table.open(Selection(topics: Set(Self.topics)))
        try await log.append("b", "1", "2")
        try await log.append("a", "3", "4")
        // The node reads 1.0, 2.0, 2.1, 2.2.
        _ = table.append(try await log.tail(after: tail, limit: SliceLimit()))
        for (place, expected) in [
            ("0.0", "deliver 1.0 2.0 2.1 2.2, stand at 2.2, the last"),
            ("1.0", "deliver 2.0 2.1 2.2, stand at 2.2, the last"),
            ("2.1", "deliver 2.2, stand at 2.2, the last"),
            ("0.1", "replay after 0.1 through 2.1"),
            ("1.2", "replay after 1.2 through 2.2"),
            ("2.2", "caught up at 2.2"),
            ("0.3", "ahead"),
        ] {
            let step = table.step(feed, .after(Position(checked: place)), limit: SliceLimit(), covers: log.covers)
            #expect(step.description == expected)
        }
    }

    @Test("A client that has read on any node receives exactly the rest on another", arguments: UInt64(0)..<100)
    func anyPlace(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let store = VectorLog.Store()
        let node = VectorLog(store, readsFirst: .first)
        let other = VectorLog(store, readsFirst: .second)
        let memory = MemoryLog(clock: ManualClock())
        try await check([node, other], using: &generator, "two nodes, seed \(seed)")
        try await check([memory, memory], using: &generator, "in memory, seed \(seed)")
    }

    /// A client reads on the second node, then goes on in the feed of the first, while events are published.
    private func check(
        _ nodes: [any Log], using generator: inout SeededGenerator, _ comment: Comment
    ) async throws {
        let window = Int.random(in: 0...3000, using: &generator)
        var traffic = Traffic(log: nodes[0], table: FeedTable(tail: try await nodes[0].open(), windowBytes: window))
        let selection = Selection(topics: Set(Self.topics.shuffled(using: &generator).prefix(3)))
        let limit = SliceLimit(events: Int.random(in: 1...5, using: &generator))
        for _ in 0..<10 { try await traffic.move(using: &generator) }

        let seen = try await nodes[1].read(
            selection, after: .earliest, through: nodes[1].open(),
            limit: SliceLimit(events: Int.random(in: 1...20, using: &generator))
        )
        var received = seen.records.map(\.event)
        var cursor = Cursor.after(seen.end)
        let feed = try traffic.table.open(selection)
        var steps = 0
        var isCaughtUp = false
        while steps < 20 || traffic.isBehind || !isCaughtUp {
            try #require(steps < 500, "the client gets nowhere: \(comment)")
            if steps < 20 { try await traffic.move(using: &generator) } else { try await traffic.follow() }
            steps += 1
            isCaughtUp = false
            switch traffic.table.step(feed, cursor, limit: limit, covers: nodes[0].covers) {
            case .deliver(let entries, let mark, _):
                received += entries.map(\.frame.record.event)
                cursor = .at(mark)
            case .replay(let position, let mark):
                let slice = try await nodes[0].read(selection, after: position, through: mark.position, limit: limit)
                received += slice.records.map(\.event)
                cursor = slice.isComplete ? .at(mark) : .after(slice.end)
            case .caughtUp(let mark):
                cursor = .at(mark)
                isCaughtUp = true
            case .ahead, .finished, .values, .skip:
                break
            }
        }
        #expect(grouped(received) == grouped(traffic.published.filter(selection.contains)), comment)
    }

    /// A node that publishes and follows its log in random steps.
    private struct Traffic {
        let log: any Log
        var table: FeedTable
        private(set) var published: [Event] = []
        private var followed = 0

        init(log: any Log, table: FeedTable) {
            self.log = log
            self.table = table
        }

        var isBehind: Bool { followed < published.count }

        mutating func move(using generator: inout SeededGenerator) async throws {
            if Bool.random(using: &generator) {
                let events = (0..<Int.random(in: 1...6, using: &generator)).map { number in
                    let topic = FeedPlacingTests.topics.randomElement(using: &generator)!
                    return Event(topic: topic, data: "\(published.count + number)")
                }
                published += events
                _ = try await log.append(events)
            }
            if Bool.random(using: &generator) { try await follow() }
        }

        mutating func follow() async throws {
            guard isBehind else { return }
            let slice = try await log.tail(after: table.tail.position, limit: SliceLimit(events: 3))
            followed += slice.records.count
            _ = table.append(slice)
        }
    }

    private func grouped(_ events: [Event]) -> [Topic: [String]] {
        Dictionary(grouping: events, by: \.topic).mapValues { $0.map(\.data) }
    }
}

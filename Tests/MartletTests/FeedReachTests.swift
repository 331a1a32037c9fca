// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

/// The feeds and the index of patterns as the hub uses them: an event reaches the feeds whose selections contain it,
/// whatever is opened and closed, also while the event is looked up.
@Suite struct FeedReachTests {
    private struct Open {
        var id: FeedID
        var selection: Selection
        /// Where the feed began.
        var mark: Mark
    }

    private static let topics = ["a", "b", "t/1", "t/2", "t/1/x", "u/1", "{x}", "t/{n}"]
    private static let selectors = topics + ["*", "t/{n}/x", "{+p}/1", "{y}", "{+any}", "t{/n*}", "u/1{/x}"]

    private static func some(
        _ texts: [String], _ counts: ClosedRange<Int>, using random: inout SeededGenerator
    ) -> Set<TopicSelector> {
        Set(texts.shuffled(using: &random).prefix(Int.random(in: counts, using: &random)).map { TopicSelector($0) })
    }

    private static func selection(using random: inout SeededGenerator) -> Selection {
        Selection(
            selectors: some(selectors, 1...3, using: &random),
            grants: Bool.random(using: &random) ? [] : some(selectors, 1...2, using: &random))
    }

    private static func event(using random: inout SeededGenerator) throws -> Event {
        let topics = try topics.shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random)).map {
            try Topic($0)
        }
        return Event(
            topic: topics[0], alternates: Array(topics.dropFirst()), data: "", isPrivate: Bool.random(using: &random))
    }

    /// - Parameter herd: How many feeds come or go at once. Those of a herd that come while events are looked up read the
    ///   events from the log.
    @Test("An event reaches the feeds whose selections contain it", arguments: [0...1, 0...3, 50...100])
    func eventReachesTheFeedsWhose(herd: ClosedRange<Int>) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var table = FeedTable(tail: .at(0), windowBytes: 1 << 24)
        var index = PatternIndex()
        var feeds: [Open] = []
        var position: UInt64 = 0
        var (delivered, replayed) = (0, 0)

        func change() throws {
            for _ in 0..<Int.random(in: herd, using: &random) {
                if feeds.count < 150, Bool.random(using: &random) {
                    let selection = Self.selection(using: &random)
                    feeds.append(Open(id: try table.open(selection), selection: selection, mark: table.tail))
                } else if !feeds.isEmpty {
                    table.close(feeds.remove(at: Int.random(in: 0..<feeds.count, using: &random)).id)
                }
            }
        }

        for _ in 0..<400 {
            try change()
            let records = try (0..<Int.random(in: 1...3, using: &random)).map { _ in
                position += 1
                return Record(position: .at(position), event: try Self.event(using: &random))
            }
            let slice = Slice(records: records, end: .at(position), isComplete: true)
            let before = table.tail
            if table.needsIndex(for: slice) {
                index.apply(table.takeChanges())
                let routes = records.map { index.route(of: $0.event) }
                try change()
                _ = table.append(slice, routes: routes)
            } else {
                _ = table.append(slice)
            }
            for feed in feeds {
                let expected = records.filter { feed.selection.contains($0.event) }.map(\.position)
                let step = table.step(
                    feed.id, .at(before), limit: SliceLimit(events: 99), covers: Position.covers)
                switch step {
                case .deliver(let entries, _, _):
                    try #require(entries.map(\.frame.record.position) == expected, "seed \(seed)")
                    delivered += 1
                case .caughtUp:
                    try #require(expected.isEmpty, "seed \(seed): \(feed.selection)")
                case .replay(let after, let through):
                    try #require(feed.mark == before, "seed \(seed): only a new feed reads from the log")
                    try #require(after == before.position && through == table.tail, "seed \(seed)")
                    replayed += 1
                case .ahead, .finished, .values, .skip: Issue.record("seed \(seed)")
                }
            }
        }
        #expect(delivered > 100, "seed \(seed)")
        if herd.upperBound > 3 { #expect(replayed > 10, "seed \(seed)") }
        for feed in feeds { table.close(feed.id) }
        index.apply(table.takeChanges())
        #expect(index.selectorCount == 0)
        #expect(table.selectorCount == 0)
        #expect(table.windowByteCount == 0)
    }

    @Test("A private event is looked up by those who may see it where they are fewer")
    func privateEventIsLookedUp() throws {
        var table = FeedTable(tail: .at(0), windowBytes: 1 << 20)
        var index = PatternIndex()
        var ids: [FeedID] = []
        for user in 0..<1_000 {
            ids.append(try table.open(Selection(selectors: [.every], grants: [TopicSelector("users/\(user)/{x}")])))
        }
        let admin = try table.open(Selection(selectors: [.every], grants: [.every]))
        _ = try table.open(Selection(selectors: [.every]))
        index.apply(table.takeChanges())
        let route = index.route(of: Event(topic: "users/7/inbox", data: "", isPrivate: true))
        let everyone = index.route(of: Event(topic: "users/7/inbox", data: ""))
        #expect(Set(route.feeds) == [ids[7], admin])
        #expect(route.grants == [TopicSelector("users/7/{x}")])
        #expect(everyone.feeds.count == 1_002)
    }

    @Test("A feed that comes and goes before the index is told was never there")
    func feedThatComesAndGoes() throws {
        var table = FeedTable(tail: .at(0), windowBytes: 1 << 20)
        for _ in 0..<10 { table.close(try table.open(Selection(selectors: ["{x}"]))) }
        let none = table.takeChanges()
        let feed = try table.open(Selection(selectors: ["{x}"]))
        let opened = table.takeChanges()
        table.close(feed)
        let closed = table.takeChanges()
        #expect(none.joining.isEmpty && none.leaving.isEmpty)
        #expect(Array(opened.joining.keys) == [feed] && opened.leaving.isEmpty)
        #expect(Array(closed.leaving.keys) == [feed] && closed.joining.isEmpty)
    }

    @Test("The index is told of many changes once, until it has taken them")
    func indexIsToldOfMany() throws {
        var table = FeedTable(tail: .at(0), windowBytes: 1 << 20)
        var due: [Int] = []
        for number in 0..<2 * IndexChanges.many {
            _ = try table.open(Selection(selectors: [TopicSelector("\(number)/{x}")]))
            if table.shouldTellIndex() { due.append(number) }
        }
        #expect(due == [IndexChanges.many / 2 - 1])
        _ = table.takeChanges()
        for number in 0..<IndexChanges.many / 2 {
            _ = try table.open(Selection(selectors: [TopicSelector("\(number)/{y}")]))
        }
        let isDueAgain = table.shouldTellIndex()
        #expect(isDueAgain)
    }

    @Test("Exact topics need no index, and private events only where some are granted")
    func exactTopicsNeedNoIndex() throws {
        var table = FeedTable(tail: .at(0), windowBytes: 1 << 20)
        func needsIndex(isPrivate: Bool) -> Bool {
            let record = Record(position: .at(1), event: Event(topic: "a", data: "", isPrivate: isPrivate))
            return table.needsIndex(for: Slice(records: [record], end: .at(1), isComplete: true))
        }
        _ = try table.open(.of("a"))
        _ = try table.open(.of("a", includesPrivate: true))
        #expect(!needsIndex(isPrivate: false) && !needsIndex(isPrivate: true))
        let granted = try table.open(Selection(selectors: ["a"], grants: ["a"]))
        #expect(!needsIndex(isPrivate: false) && needsIndex(isPrivate: true))
        table.close(granted)
        #expect(!needsIndex(isPrivate: true))
        let pattern = try table.open(Selection(selectors: ["{x}"]))
        #expect(needsIndex(isPrivate: false))
        table.close(pattern)
        #expect(!needsIndex(isPrivate: false))
    }
}

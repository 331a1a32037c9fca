// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

@Suite("The feeds of a node")
struct FeedTableTests {
    private final class Listener: FeedListener {
        func feedsGrew(_ feeds: [FeedID]) {}
    }

    private var table = FeedTable(tail: .at(0), windowBytes: 1 << 20)

    /// Appends an event for each topic, numbered on from the tail.
    @discardableResult
    private mutating func append(
        _ topics: Topic..., isPrivate: Bool = false, end: UInt64? = nil, gap: UInt64? = nil
    ) -> [FeedID] {
        var number = max(UInt64(table.tail.position.text) ?? 0, gap ?? 0)
        let records = topics.map { topic in
            number += 1
            return Record(position: .at(number), event: Event(topic: topic, data: "", isPrivate: isPrivate))
        }
        let slice = Slice(
            records: records, end: .at(end ?? number), isComplete: true, gap: gap.map { .at($0) }
        )
        return table.append(slice).flatMap(\.feeds)
    }

    private func step(_ feed: FeedID, _ cursor: Cursor) -> String {
        // To read what comes next changes nothing that matters here.
        var table = table
        return table.step(feed, cursor, limit: SliceLimit(), covers: Position.covers).description
    }

    @Test("Subscriptions that select the same share a feed, which goes with the last of them")
    mutating func sharing() throws {
        let first = try table.open(.of("a", "b"))
        #expect(try table.open(.of("b", "a")) == first)
        let other = try table.open(.of("a", "b", includesPrivate: true))
        #expect(other != first)
        append("a")
        #expect(table.feedCount == 2)
        #expect(table.selectorCount == 2)
        table.close(first)
        #expect(table.feedCount == 2)
        table.close(first)
        #expect(table.feedCount == 1)
        #expect(table.windowByteCount > 0)
        table.close(other)
        #expect(table.feedCount == 0)
        #expect(table.selectorCount == 0)
        #expect(table.windowByteCount == 0)
        #expect(try table.open(.of("a", "b")) != first)
    }

    @Test("A feed has the events of its topics, and private ones only where it includes them")
    mutating func selection() throws {
        let feeds = try [Selection.of("a"), .of("a", includesPrivate: true), .of("b", "c")].map { try table.open($0) }
        append("a", "b", "other")
        append("a", "c", isPrivate: true)
        let start = Cursor.after(.at(0))
        let expected = [
            "deliver 1, stand at 5, the last", "deliver 1 4, stand at 5, the last", "deliver 2, stand at 5, the last",
        ]
        #expect(feeds.map { step($0, start) } == expected)
    }

    @Test("A feed covers what comes after it was opened")
    mutating func opening() throws {
        append("a", "a")
        let feed = try table.open(.of("a"))
        append("a")
        #expect(step(feed, .after(.at(2))) == "deliver 3, stand at 3, the last")
        #expect(step(feed, .after(.at(1))) == "replay after 1 through 2")
    }

    @Test("The tail moves past events without subscribers, and past the last event of a slice")
    mutating func tail() throws {
        let feed = try table.open(.of("a"))
        append("other", "other", end: 7)
        #expect(table.tail.position == .at(7))
        #expect(
            step(feed, .after(.at(0))) == "replay after 0 through 7" || step(feed, .after(.at(0))) == "caught up at 7")
        append(end: 9)
        #expect(table.tail.position == .at(9))
    }

    @Test("Only those are told whose feeds have grown, each once for a slice")
    mutating func listeners() throws {
        let listeners = [Listener(), Listener()]
        let feeds = try [Selection.of("a"), .of("b")].map { try table.open($0) }
        table.add(listeners[0], to: feeds[0])
        table.add(listeners[0], to: feeds[0])
        table.add(listeners[1], to: feeds[1])
        #expect(append("a", "a", "other") == [feeds[0]])
        #expect(append("other").isEmpty)
        #expect(Set(append("a", "b")) == Set(feeds))
        table.remove(listeners[0], from: feeds[0])
        #expect(append("a") == [feeds[0]])
        table.remove(listeners[0], from: feeds[0])
        #expect(append("a").isEmpty)
    }

    @Test("Over the budget the oldest events are dropped across all feeds, and are read from the log")
    mutating func window() throws {
        // Each event is in two feeds.
        let size = Feed.Entry.at(1).frame.byteCount - "news".utf8.count + "a".utf8.count + 2 * FeedTable.bytesPerFeed
        table = FeedTable(tail: .at(0), windowBytes: 3 * size)
        let feeds = try [Selection.of("a"), .of("b"), .of("a", "b")].map { try table.open($0) }
        append("a", "b", "b")
        #expect(table.windowByteCount == 3 * size)
        #expect(feeds.map { step($0, .after(.at(0))) }.allSatisfy { $0.hasPrefix("deliver") })
        append("b")
        #expect(table.windowByteCount == 3 * size)
        #expect(step(feeds[0], .after(.at(0))) == "replay after 0 through 1")
        #expect(step(feeds[1], .after(.at(0))) == "deliver 2 3 4, stand at 4, the last")
        #expect(step(feeds[2], .after(.at(0))) == "replay after 0 through 1")
    }

    @Test("Subscribers of skipped topics go on at the tail when they fall out of the window, and only those")
    mutating func skipping() throws {
        table = FeedTable(tail: .at(0), windowBytes: 1, slowRules: SlowRules(skipped: ["a", "t/{x}"]))
        let skipping = try [Selection.of("a"), .of("t/1", "a"), Selection(selectors: ["t/{x}", "a"])].map {
            try table.open($0)
        }
        let reading = try [
            Selection.of("a", "b"), Selection(selectors: ["t/{y}"]), Selection(selectors: [.every]),
        ].map { try table.open($0) }
        let start = table.tail
        append("a", "t/1", "t/1")
        for feed in skipping {
            #expect(step(feed, .at(start)) == "skip to 3")
            #expect(step(feed, .at(table.tail)) == "caught up at 3")
            #expect(step(feed, .after(.at(0))).hasPrefix("replay after 0"))
        }
        #expect(step(reading[0], .at(start)) == "replay after 0 through 1")
        for feed in reading[1...] { #expect(step(feed, .at(start)) != "skip to 3") }
        // What the log has lost is told by the log.
        let behind = table.tail
        append("a", gap: 10)
        #expect(step(skipping[0], .at(behind)).hasPrefix("replay after 3"))
        append("a")
        #expect(step(skipping[0], .at(behind)) == "skip to 12")
        // Other rules are for subscribers that are there, too.
        table.slowRules = SlowRules(skipped: ["b"])
        #expect(step(skipping[0], .at(behind)).hasPrefix("replay after 3"))
    }

    @Test("When the log has lost events, all subscribers are sent to the log, and the window starts again")
    mutating func gap() throws {
        let listener = Listener()
        let feeds = try [Selection.of("a"), .of("b")].map { try table.open($0) }
        for feed in feeds { table.add(listener, to: feed) }
        append("a", "b")
        let mark = table.tail
        #expect(Set(append("a", gap: 10)) == Set(feeds))
        #expect(table.tail.position == .at(11))
        for feed in feeds { #expect(step(feed, .at(mark)) == "replay after 2 through 10") }
        #expect(step(feeds[0], .after(.at(10))) == "deliver 11, stand at 11, the last")
        table.close(feeds[0])
        #expect(table.windowByteCount == 0)
    }

    @Test("A feed that is gone has nothing more")
    mutating func gone() throws {
        let feed = try table.open(.of("a"))
        table.close(feed)
        table.close(feed)
        append("a")
        #expect(step(feed, .after(.at(0))) == "caught up at 1")
    }
}

// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

@Suite("What a cursor in a feed does next")
struct FeedTests {
    /// Covered from 10, with events at 12, 15 and 20; the log ends at 25.
    private var feed: Feed = {
        var feed = Feed(selection: .of("news"), coveredFrom: .at(10))
        for number in [12, 15, 20] as [UInt64] { feed.append(.at(number)) }
        return feed
    }()

    private func step(_ cursor: Cursor, tail: UInt64 = 25, limit: SliceLimit = SliceLimit()) -> String {
        feed.step(cursor, tail: .at(tail), limit: limit, covers: Position.covers).description
    }

    @Test(
        "At a mark it takes what is behind it",
        arguments: [
            (10, "deliver 12 15 20, stand at 25, the last"),
            (11, "deliver 12 15 20, stand at 25, the last"),
            (12, "deliver 15 20, stand at 25, the last"),
            (14, "deliver 15 20, stand at 25, the last"),
            (15, "deliver 20, stand at 25, the last"),
            (19, "deliver 20, stand at 25, the last"),
            (20, "caught up at 25"),
            (25, "caught up at 25"),
        ])
    func atMark(number: UInt64, expected: String) {
        #expect(step(.at(.at(number))) == expected)
    }

    @Test("At a mark before what the feed covers it reads the log up to there")
    func atMarkBefore() {
        #expect(step(.at(.at(9))) == "replay after 9 through 10")
        #expect(step(.at(.at(0))) == "replay after 0 through 10")
    }

    @Test(
        "With a position that is a mark it goes on live",
        arguments: [
            (10, "deliver 12 15 20, stand at 25, the last"),
            (12, "deliver 15 20, stand at 25, the last"),
            (15, "deliver 20, stand at 25, the last"),
            (20, "caught up at 25"),
            (25, "caught up at 25"),
        ])
    func afterMark(number: UInt64, expected: String) {
        #expect(step(.after(.at(number))) == expected)
    }

    @Test(
        "With a position between marks it reads the log up to the next one",
        arguments: [
            (0, 10), (9, 10), (11, 12), (13, 15), (14, 15), (16, 20), (21, 25), (24, 25),
        ])
    func betweenMarks(number: UInt64, mark: UInt64) {
        #expect(step(.after(.at(number))) == "replay after \(number) through \(mark)")
    }

    @Test("With the earliest position it reads the log")
    func earliest() {
        #expect(step(.after(.earliest)) == "replay after earliest through 10")
    }

    @Test("With a position that the node has not come to it waits")
    func ahead() {
        #expect(step(.after(.at(26))) == "ahead")
        #expect(step(.after(.at(26)), tail: 26) == "caught up at 26")
        #expect(step(.after(.at(26)), tail: 27) == "replay after 26 through 27")
    }

    @Test("A feed that has nothing covers what is behind its end")
    mutating func empty() {
        feed = Feed(selection: .of("news"), coveredFrom: .at(10))
        #expect(step(.at(.at(10)), tail: 10) == "caught up at 10")
        #expect(step(.at(.at(10))) == "caught up at 25")
        #expect(step(.at(.at(9))) == "replay after 9 through 10")
        #expect(step(.after(.at(10))) == "caught up at 25")
        #expect(step(.after(.at(9))) == "replay after 9 through 10")
        #expect(step(.after(.at(12))) == "replay after 12 through 25")
    }

    @Test("A feed that has dropped its oldest event covers what is behind that")
    mutating func dropped() {
        feed.dropFirst()
        #expect(step(.at(.at(10))) == "replay after 10 through 12")
        #expect(step(.after(.at(10))) == "replay after 10 through 12")
        #expect(step(.at(.at(11))) == "replay after 11 through 12")
        #expect(step(.at(.at(12))) == "deliver 15 20, stand at 25, the last")
        feed.dropFirst()
        feed.dropFirst()
        #expect(step(.at(.at(19))) == "replay after 19 through 20")
        #expect(step(.at(.at(20))) == "caught up at 25")
    }

    @Test("A feed that has started again sends all its subscribers to the log")
    mutating func restarted() {
        feed.restart(at: .at(30))
        #expect(step(.at(.at(25)), tail: 30) == "replay after 25 through 30")
        #expect(step(.after(.at(15)), tail: 30) == "replay after 15 through 30")
        #expect(step(.at(.at(30)), tail: 30) == "caught up at 30")
    }

    @Test(
        "A slice has as many events as its limit, and where more follow it ends at its last one",
        arguments: [
            (1, "deliver 12, stand at 12"),
            (2, "deliver 12 15, stand at 15"),
            (3, "deliver 12 15 20, stand at 25, the last"),
            (4, "deliver 12 15 20, stand at 25, the last"),
        ])
    func countLimit(events: Int, expected: String) {
        #expect(step(.at(.at(10)), limit: SliceLimit(events: events)) == expected)
        #expect(step(.after(.at(10)), limit: SliceLimit(events: events)) == expected)
    }

    @Test("A slice has as many bytes as its limit, but at least one event")
    func byteLimit() {
        let size = Feed.Entry.at(12).frame.byteCount
        for (bytes, expected) in [
            (1, "deliver 12, stand at 12"),
            (2 * size - 1, "deliver 12, stand at 12"),
            (2 * size, "deliver 12 15, stand at 15"),
            (3 * size - 1, "deliver 12 15, stand at 15"),
            (3 * size, "deliver 12 15 20, stand at 25, the last"),
        ] {
            #expect(step(.at(.at(10)), limit: SliceLimit(bytes: bytes)) == expected)
        }
    }

    @Test("A large event comes in a separate slice")
    mutating func largeEvent() {
        feed = Feed(selection: .of("news"), coveredFrom: .at(10))
        for (number, length) in [(12, 10), (15, 1000), (20, 10)] as [(UInt64, Int)] {
            feed.append(.at(number, data: String(repeating: "x", count: length)))
        }
        let limit = SliceLimit(bytes: 500)
        #expect(step(.at(.at(10)), limit: limit) == "deliver 12, stand at 12")
        #expect(step(.at(.at(12)), limit: limit) == "deliver 15, stand at 15")
        #expect(step(.at(.at(15)), limit: limit) == "deliver 20, stand at 25, the last")
    }

    @Test("A cursor that is caught up stands at the present end of the log")
    func caughtUp() {
        let tail = Mark(sequence: SequenceNumber(rawValue: 25), position: .at(40))
        let step = feed.step(.at(.at(25)), tail: tail, limit: SliceLimit(), covers: Position.covers)
        #expect(step.description == "caught up at 40")
    }
}

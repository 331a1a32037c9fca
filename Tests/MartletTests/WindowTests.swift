// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Martlet

@Suite("The window")
struct WindowTests {
    private var window = Window(capacity: 100)
    private let feed = FeedID(rawValue: 1)
    private let other = FeedID(rawValue: 2)

    private mutating func append(_ sequence: UInt64, bytes: Int, _ feeds: FeedID...) {
        window.append(Window.Item(sequence: SequenceNumber(rawValue: sequence), byteCount: bytes, feeds: feeds))
    }

    private mutating func release(_ sequence: UInt64, from feed: FeedID) {
        window.release(SequenceNumber(rawValue: sequence))
    }

    /// Drops what is too much, and says which of it was still held.
    private mutating func overflow() -> [UInt64] {
        var popped: [UInt64] = []
        while let item = window.popOverflow() {
            if !item.feeds.isEmpty { popped.append(item.sequence.rawValue) }
        }
        return popped
    }

    @Test("It knows how many bytes came after a number, whatever became of them")
    mutating func bytesAfter() {
        append(3, bytes: 10, feed)
        append(5, bytes: 20, feed, other)
        append(6, bytes: 30, other)
        #expect([0, 2].map { window.byteCount(after: SequenceNumber(rawValue: $0)) } == [60, 60])
        #expect([3, 4].map { window.byteCount(after: SequenceNumber(rawValue: $0)) } == [50, 50])
        #expect([5, 6, 7].map { window.byteCount(after: SequenceNumber(rawValue: $0)) } == [30, 0, 0])
        release(6, from: other)
        #expect(window.byteCount(after: SequenceNumber(rawValue: 3)) == 50)
    }

    @Test("It is full at its capacity, and over it with one byte more")
    mutating func edge() {
        append(1, bytes: 60, feed)
        append(2, bytes: 40, feed)
        #expect(overflow() == [])
        #expect(window.byteCount == 100)
        append(3, bytes: 1, feed)
        #expect(overflow() == [1])
        #expect(window.byteCount == 41)
    }

    @Test("As many of the oldest go as it takes")
    mutating func several() {
        for sequence in 1...4 as ClosedRange<UInt64> { append(sequence, bytes: 25, feed) }
        append(5, bytes: 70, feed)
        #expect(overflow() == [1, 2, 3])
        #expect(window.byteCount == 95)
    }

    @Test("The newest stays, however large it is")
    mutating func newest() {
        append(1, bytes: 1, feed)
        append(2, bytes: 1000, feed)
        #expect(overflow() == [1])
        #expect(window.byteCount == 1000)
        append(3, bytes: 1, feed)
        #expect(overflow() == [2])
        #expect(window.byteCount == 1)
    }

    @Test("Of what is dropped it says which feeds held it")
    mutating func feeds() {
        append(1, bytes: 100, feed, other)
        append(2, bytes: 100, feed)
        #expect(window.popOverflow()?.feeds == [feed, other])
    }

    @Test("A frame that feeds share counts once, until the last of them lets go")
    mutating func sharedFrame() {
        append(1, bytes: 30, feed, other)
        append(2, bytes: 30, feed)
        release(1, from: feed)
        #expect(window.byteCount == 60)
        release(1, from: other)
        #expect(window.byteCount == 30)
        append(3, bytes: 71, feed)
        #expect(overflow() == [2])
    }

    @Test("Letting go of what is not there changes nothing")
    mutating func unknown() {
        append(2, bytes: 30, feed)
        for sequence in [1, 3] as [UInt64] { release(sequence, from: feed) }
        #expect(window.byteCount == 30)
        release(2, from: feed)
        release(2, from: feed)
        #expect(window.byteCount == 0)
    }

    @Test("A frame that was let go of in the middle gives its room to others")
    mutating func middle() {
        append(1, bytes: 40, feed)
        append(2, bytes: 40, other)
        append(3, bytes: 20, feed)
        release(2, from: other)
        #expect(window.byteCount == 60)
        append(4, bytes: 40, feed)
        #expect(overflow() == [])
        append(5, bytes: 1, feed)
        #expect(overflow() == [1])
        #expect(window.byteCount == 61)
    }

    @Test("Released frames take no memory, however long an earlier frame is held")
    mutating func churn() throws {
        append(1, bytes: 1, feed)
        for sequence in 2...1000 as ClosedRange<UInt64> {
            append(sequence, bytes: 1, other)
            release(sequence, from: other)
        }
        #expect(window.byteCount == 1)
        let items = try #require(Mirror(reflecting: window).children.first { $0.label == "items" })
        #expect(Mirror(reflecting: items.value).children.count < 100)
    }
}

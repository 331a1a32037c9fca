// SPDX-License-Identifier: Apache-2.0

import EventStream
import Testing

@Suite("Parser")
struct EventStreamParserTests {
    @Test("A byte order mark is dropped once, also when it is cut")
    func byteOrderMark() {
        let stream = Array("\u{FEFF}data: a\n\n\u{FEFF}data: b\n\ndata: \u{FEFF}c\n\n".utf8)
        for cut in 0...4 {
            let result = outcome(of: [Array(stream[..<cut]), Array(stream[cut...])])
            #expect(result.elements == [.event(.init(data: "a")), .event(.init(data: "\u{FEFF}c"))])
        }
    }

    @Test("A second byte order mark and the beginning of one are part of a field name")
    func notAByteOrderMark() {
        #expect(events(in: "\u{FEFF}\u{FEFF}data: a\n\n").isEmpty)
        #expect(outcome(of: [[0xEF, 0xBB], Array("data: a\n\n".utf8)]).elements.isEmpty)
    }

    @Test("CRLF is one line end also when it is cut")
    func splitCarriageReturnLineFeed() {
        let chunks = ["data: a\r", "\ndata: b\r", "", "\n\r", "\n"].map { Array($0.utf8) }
        #expect(outcome(of: chunks).elements == [.event(.init(data: "a\nb"))])
    }

    @Test("A lone CR ends the block without waiting for another byte")
    func carriageReturnIsNotHeldBack() {
        #expect(outcome(of: "data: a\r\r").elements == [.event(.init(data: "a"))])
        #expect(outcome(of: "data: a\n\r\r\ndata: b\r\r\n").elements.count == 2)
    }

    @Test("An id with a NUL is ignored and the one before it stays")
    func nullInID() {
        let result = outcome(of: "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n")
        #expect(result.elements == [.event(.init(data: "a", id: "1")), .event(.init(data: "b", id: "1"))])
        #expect(result.lastEventID == "1")
    }

    @Test("An id that a header cannot have leaves the one before it to be sent, also within one chunk")
    func unsendableID() throws {
        var parser = EventStreamParser(lastEventID: "0")
        #expect(parser.lastSendableEventID == "0")
        for (bytes, last, sendable) in [
            ("id: 1\n\nid: a\u{1}\n\n", "a\u{1}", "1"), ("data: x\n\n", "a\u{1}", "1"),
            ("id: \u{7F}\n\n", "\u{7F}", "1"),
            ("id: \u{E9}\t\n\n", "\u{E9}\t", "\u{E9}\t"), ("id\n\n", "", ""),
        ] {
            _ = try parser.parse(bytes.utf8)
            #expect(parser.lastEventID == last)
            #expect(parser.lastSendableEventID == sendable)
        }
    }

    @Test("An empty id resets the last event id", arguments: ["id", "id:", "id: "])
    func emptyID(line: String) {
        let result = outcome(of: "id: 1\ndata: a\n\n\(line)\ndata: b\n\n")
        #expect(result.elements.last == .event(.init(data: "b")))
        #expect(result.lastEventID.isEmpty)
    }

    @Test("An id stays for the events after it, and a block of an id alone sets it")
    func idStays() {
        let result = outcome(of: "id: 7\n\ndata: a\n\ndata: b\n\n")
        #expect(result.elements == [.event(.init(data: "a", id: "7")), .event(.init(data: "b", id: "7"))])
    }

    @Test("The last block is discarded without its blank line, with its id", arguments: ["", "\n", "\r", "\r\n"])
    func partialLastBlock(end: String) {
        let result = outcome(of: "id: 1\ndata: a\n\nid: 2\ndata: b\(end)")
        #expect(result.elements == [.event(.init(data: "a", id: "1"))])
        #expect(result.lastEventID == "1")
    }

    @Test("A parser for a reconnect starts with the id it is given")
    func startsWithLastEventID() throws {
        var parser = EventStreamParser(lastEventID: "41")
        #expect(parser.lastEventID == "41")
        #expect(try parser.parse("data: a\n\n".utf8) == [.event(.init(data: "a", id: "41"))])
    }

    @Test(
        "A retry of ASCII digits is given before the event of its block, and none is above the bound",
        arguments: [
            ("0", 0), ("0012", 12), ("2147483646", 2_147_483_646), ("2147483647", 2_147_483_647),
            ("2147483648", 2_147_483_647), ("9223372036854775807", 2_147_483_647),
            ("9223372036854775808", 2_147_483_647), (String(repeating: "9", count: 1000), 2_147_483_647),
            (String(repeating: "0", count: 1000) + "7", 7),
        ]
    )
    func retry(value: String, milliseconds: Int) {
        let result = outcome(of: "data: a\nretry: \(value)\n\n")
        #expect(result.elements == [.retry(milliseconds: milliseconds), .event(.init(data: "a"))])
    }

    @Test(
        "A retry of anything but ASCII digits is ignored",
        arguments: ["12a", "", "+1", "-1", " 1", "1 ", "1.5", "0x1", "１", "٣", "1\u{301}", "1\0"]
    )
    func invalidRetry(value: String) {
        #expect(outcome(of: "retry: \(value)\n\n").elements.isEmpty)
    }

    @Test("Only one space after the colon is dropped, and no tab")
    func leadingSpace() {
        #expect(events(in: "data:  a\ndata:b\ndata:\tc\ndata: :d \n\n").map(\.data) == [" a\nb\n\tc\n:d "])
    }

    @Test("Unknown names, names in capitals and names with a space are ignored")
    func unknownFields() {
        #expect(events(in: "Data: a\ndata : b\n data: c\nfoo: d\nfoo\ndata\u{301}: e\n\n").isEmpty)
    }

    @Test("The last event name of a block counts, and an empty one is the default type")
    func eventName() {
        #expect(events(in: "event: a\nevent: b\ndata\n\n").map(\.event) == ["b"])
        #expect(events(in: "event: a\nevent:\ndata\n\n").map(\.event) == [nil])
    }

    @Test("A block without data dispatches nothing and leaves no name behind")
    func blockWithoutData() {
        #expect(events(in: "event: a\n\ndata: b\n\n") == [ServerSentEvent(data: "b")])
    }

    @Test("Comments are given as they come, without ending a block")
    func comments() {
        let result = outcome(of: "data: a\n:\n:  b\ndata: c\n\n:d\n")
        let expected: [EventStreamParser.Element] = [
            .comment(""), .comment(" b"), .event(.init(data: "a\nc")), .comment("d"),
        ]
        #expect(result.elements == expected)
    }

    @Test("Invalid UTF-8 is read as replacement characters and ends no line")
    func invalidUTF8() {
        let chunks = [Array("data: a".utf8), [0xE2], [0x82, 0x0A, 0x0A], Array("data: ".utf8), [0xFF, 0x0A, 0x0A]]
        let result = outcome(of: chunks)
        #expect(result.elements == [.event(.init(data: "a\u{FFFD}")), .event(.init(data: "\u{FFFD}"))])
    }

    @Test("A chunk need not be contiguous")
    func sequences() throws {
        var parser = EventStreamParser()
        let stream = AnySequence(AnyIterator(Array("id: é\ndata: a\n\n".utf8).makeIterator()))
        #expect(try parser.parse(stream) == [.event(.init(data: "a", id: "é"))])
    }

    @Test("Two events are equal when their texts have the same bytes")
    func equality() {
        let event = ServerSentEvent(event: "\u{E9}", data: "K", id: "1", retry: 1, comment: "c")
        #expect(event == ServerSentEvent(event: "\u{E9}", data: "K", id: "1", retry: 1, comment: "c"))
        #expect(
            event.hashValue == ServerSentEvent(event: "\u{E9}", data: "K", id: "1", retry: 1, comment: "c").hashValue)
        #expect(event != ServerSentEvent(event: "e\u{301}", data: "K", id: "1", retry: 1, comment: "c"))
        #expect(event != ServerSentEvent(event: "\u{E9}", data: "\u{212A}", id: "1", retry: 1, comment: "c"))
        #expect(ServerSentEvent(data: "") != ServerSentEvent())
        #expect(ServerSentEvent(retry: 1) != ServerSentEvent(retry: 2))
    }
}

// SPDX-License-Identifier: Apache-2.0

import EventStream
import Testing

/// A stream printed in WHATWG HTML, section 9.2, and what the text around it says about it; or the shortest for one of its
/// rules.
struct StandardExample: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let stream: String
    let elements: [EventStreamParser.Element]

    private init(_ rule: String, _ stream: String, _ elements: [EventStreamParser.Element]) {
        self.init(testDescription: rule, stream: stream, elements: elements)
    }

    private init(testDescription: String, stream: String, elements: [EventStreamParser.Element]) {
        self.testDescription = testDescription
        self.stream = stream
        self.elements = elements
    }

    static let rules = [
        StandardExample("9.2.5, an empty stream has no events", "", []),
        StandardExample("9.2.5, one byte order mark is ignored", "\u{FEFF}data:a\n\n", [.event(.init(data: "a"))]),
        StandardExample("9.2.5, no more than one is", "\u{FEFF}\u{FEFF}data:a\n\n", []),
        StandardExample("9.2.5, nor one that is not the first", "\n\u{FEFF}data:a\n\n", []),
        StandardExample("9.2.5, a stream may end without a line end", "data:a\n\ndata:b", [.event(.init(data: "a"))]),
        StandardExample("9.2.6, a colon first is a comment", ":a:b\n::\n", [.comment("a:b"), .comment(":")]),
        StandardExample(
            "9.2.6, the first colon ends the name", "data:a:b\ndata::\n\n", [.event(.init(data: "a:b\n:"))]),
        StandardExample("9.2.6, one space is removed", "data:  a \ndata:\tb\n\n", [.event(.init(data: " a \n\tb"))]),
        StandardExample("9.2.6, a line without a colon is a name", "data\nid\nevent\n\n", [.event(.init(data: ""))]),
        StandardExample("9.2.6, names have their case", "Data:a\nDATA:b\ndata :c\n data:d\n\n", []),
        StandardExample("9.2.6, other fields are ignored", "x:1\ndata:a\ny\n\n", [.event(.init(data: "a"))]),
        StandardExample(
            "9.2.6, the last event counts", "event:a\nevent:b\ndata:c\n\n", [.event(.init(event: "b", data: "c"))]),
        StandardExample(
            "9.2.6, an empty event is no type", "event:a\nevent:\ndata:c\n\n", [.event(.init(data: "c"))]),
        StandardExample(
            "9.2.6, data is joined by line feeds, and the last is removed", "data:a\ndata:\ndata:b\ndata\n\n",
            [.event(.init(data: "a\n\nb\n"))]),
        StandardExample(
            "9.2.6, the last id counts", "id:1\nid:2\ndata:a\n\n", [.event(.init(data: "a", id: "2"))]),
        StandardExample(
            "9.2.6, an id with a NUL is ignored", "id:1\nid:\0\ndata:a\n\n", [.event(.init(data: "a", id: "1"))]),
        StandardExample(
            "9.2.6, an id stays, and an empty one is none", "id:1\n\ndata:a\n\nid:\ndata:b\n\n",
            [.event(.init(data: "a", id: "1")), .event(.init(data: "b"))]),
        StandardExample(
            "9.2.6, retry is digits", "retry:0\nretry: 12\n", [.retry(milliseconds: 0), .retry(milliseconds: 12)]),
        StandardExample("9.2.6, and nothing else", "retry:1s\nretry:-1\nretry:+1\nretry\nretry:  1\nretry:1.0\n", []),
        StandardExample(
            "9.2.6, without data there is no event", "event:a\nid:1\nretry:5\n\n", [.retry(milliseconds: 5)]),
        StandardExample(
            "9.2.6, and its type is forgotten", "event:a\n\ndata:b\n\n", [.event(.init(data: "b"))]),
        StandardExample("9.2.6, blank lines do nothing", "\n\n\ndata:a\n\n\n\n", [.event(.init(data: "a"))]),
        StandardExample(
            "9.2.6, the end discards what is begun", "data:a\n\nid:2\ndata:b\n", [.event(.init(data: "a"))]),
        StandardExample(
            "9.2.7, a comment keeps a stream alive", "data:a\n:\ndata:b\n\n",
            [.comment(""), .event(.init(data: "a\nb"))]),
    ]

    static let all = examples + rules

    static let examples = [
        StandardExample(
            testDescription: "9.2.1, three messages",
            stream: """
                data: This is the first message.

                data: This is the second message, it
                data: has two lines.

                data: This is the third message.


                """,
            elements: [
                .event(.init(data: "This is the first message.")),
                .event(.init(data: "This is the second message, it\nhas two lines.")),
                .event(.init(data: "This is the third message.")),
            ]
        ),
        StandardExample(
            testDescription: "9.2.1, two event types",
            stream: """
                event: add
                data: 73857293

                event: remove
                data: 2153

                event: add
                data: 113411


                """,
            elements: [
                .event(.init(event: "add", data: "73857293")),
                .event(.init(event: "remove", data: "2153")),
                .event(.init(event: "add", data: "113411")),
            ]
        ),
        StandardExample(
            testDescription: "9.2.6, one message of three lines",
            stream: "data: YHOO\ndata: +2\ndata: 10\n\n",
            elements: [.event(.init(data: "YHOO\n+2\n10"))]
        ),
        StandardExample(
            testDescription: "9.2.6, four blocks",
            stream: """
                : test stream

                data: first event
                id: 1

                data:second event
                id

                data:  third event


                """,
            elements: [
                .comment("test stream"),
                .event(.init(data: "first event", id: "1")),
                .event(.init(data: "second event")),
                .event(.init(data: " third event")),
            ]
        ),
        StandardExample(
            testDescription: "9.2.6, two events and an unfinished block",
            stream: "data\n\ndata\ndata\n\ndata:",
            elements: [.event(.init(data: "")), .event(.init(data: "\n"))]
        ),
        StandardExample(
            testDescription: "9.2.6, two identical events",
            stream: "data:test\n\ndata: test\n\n",
            elements: [.event(.init(data: "test")), .event(.init(data: "test"))]
        ),
    ]
}

@Suite("The examples and rules of the HTML standard")
struct StandardExampleTests {
    private static let lineEnds = ["\n", "\r", "\r\n"]

    /// Above this length, cutting at any two bytes takes long.
    private static let shortLength = 64

    private static func bytes(of example: StandardExample, _ lineEnd: String) -> [UInt8] {
        example.stream.utf8.flatMap { $0 == 0x0A ? Array(lineEnd.utf8) : [$0] }
    }

    @Test("An example gives its events in one piece", arguments: StandardExample.all, lineEnds)
    func inOnePiece(example: StandardExample, lineEnd: String) {
        #expect(outcome(of: [Self.bytes(of: example, lineEnd)]).elements == example.elements)
    }

    @Test("An example gives its events when it is cut at any byte", arguments: StandardExample.all, lineEnds)
    func cutAtEveryByte(example: StandardExample, lineEnd: String) {
        let bytes = Self.bytes(of: example, lineEnd)
        for cut in 0...bytes.count {
            let chunks = [Array(bytes[..<cut]), Array(bytes[cut...])]
            #expect(outcome(of: chunks).elements == example.elements, "cut at byte \(cut)")
        }
    }

    @Test("A short example gives its events when it is cut at any two bytes", arguments: StandardExample.all, lineEnds)
    func cutTwice(example: StandardExample, lineEnd: String) {
        let bytes = Self.bytes(of: example, lineEnd)
        guard bytes.count <= Self.shortLength else { return }
        for first in 0...bytes.count {
            for second in first...bytes.count {
                let chunks = [Array(bytes[..<first]), Array(bytes[first..<second]), Array(bytes[second...])]
                #expect(outcome(of: chunks).elements == example.elements, "cut at bytes \(first) and \(second)")
            }
        }
    }

    @Test("An example gives its events byte by byte", arguments: StandardExample.all, lineEnds)
    func byteByByte(example: StandardExample, lineEnd: String) {
        let bytes = Self.bytes(of: example, lineEnd)
        #expect(outcome(of: bytes.map { [$0] }).elements == example.elements)
    }
}

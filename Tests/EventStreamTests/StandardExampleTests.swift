// SPDX-License-Identifier: Apache-2.0

import EventStream
import Testing

/// A stream printed in WHATWG HTML, section 9.2, and what the text around it says about it.
struct StandardExample: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let stream: String
    let elements: [EventStreamParser.Element]

    static let all = [
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

@Suite("The examples of the HTML standard")
struct StandardExampleTests {
    @Test("An example gives its events in one piece", arguments: StandardExample.all)
    func inOnePiece(example: StandardExample) {
        #expect(outcome(of: example.stream).elements == example.elements)
    }

    @Test("An example gives its events when it is cut in two at any byte", arguments: StandardExample.all)
    func cutAtEveryByte(example: StandardExample) {
        let bytes = Array(example.stream.utf8)
        for cut in 0...bytes.count {
            let chunks = [Array(bytes[..<cut]), Array(bytes[cut...])]
            #expect(outcome(of: chunks).elements == example.elements, "cut at byte \(cut)")
        }
    }

    @Test("An example gives its events byte by byte and with every kind of line end", arguments: StandardExample.all)
    func byteByByte(example: StandardExample) {
        for lineEnd in ["\n", "\r", "\r\n"] {
            let bytes = example.stream.utf8.flatMap { $0 == 0x0A ? Array(lineEnd.utf8) : [$0] }
            #expect(outcome(of: bytes.map { [$0] }).elements == example.elements)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import EventStream
import Testing

@Suite("Encoder")
struct EventStreamEncoderTests {
    private func text(_ event: ServerSentEvent) throws -> String {
        String(decoding: try event.encoded(), as: UTF8.self)
    }

    @Test("The lines come in their order and a blank line ends the block")
    func order() throws {
        let event = ServerSentEvent(event: "add", data: "a\nb", id: "1", retry: 3000, comment: "note")
        #expect(try text(event) == ": note\nevent: add\nretry: 3000\nid: 1\ndata: a\ndata: b\n\n")
    }

    @Test(
        "Data is split at CR, LF and CRLF",
        arguments: [
            ("a\rb", "data: a\ndata: b\n\n"),
            ("a\r\nb", "data: a\ndata: b\n\n"),
            ("a\n\rb", "data: a\ndata:\ndata: b\n\n"),
            ("a\r\r\nb", "data: a\ndata:\ndata: b\n\n"),
            ("\n", "data:\ndata:\n\n"),
            ("a\r\n", "data: a\ndata:\n\n"),
            ("a\r", "data: a\ndata:\n\n"),
            ("a\u{85}b\u{2028}c\u{0B}d", "data: a\u{85}b\u{2028}c\u{0B}d\n\n"),
        ]
    )
    func splitsData(data: String, wire: String) throws {
        #expect(Array(try ServerSentEvent(data: data).encoded()) == Array(wire.utf8))
    }

    @Test("Every line of a comment has its colon")
    func comments() throws {
        #expect(try text(.init(comment: "a\r\ndata: b\rc\n\nd")) == ": a\n: data: b\n: c\n:\n: d\n\n")
        #expect(try text(.init(comment: "")) == ":\n\n")
    }

    @Test("An empty text is a line without a value, and nil is no line")
    func emptyTexts() throws {
        #expect(try text(.init(data: "")) == "data:\n\n")
        #expect(try text(.init(event: "", id: "")) == "event:\nid:\n\n")
        #expect(try text(.init(retry: 0)) == "retry: 0\n\n")
        #expect(try text(.init()) == "\n")
    }

    @Test("A leading space and a colon survive behind the one space")
    func leadingSpace() throws {
        #expect(try text(.init(data: " : a")) == "data:  : a\n\n")
    }

    @Test(
        "An id or event name with a NUL, CR or LF is refused",
        arguments: ["a\nb", "a\rb", "a\r\nb", "\0", "a\n", "\r\n", "1\n\ndata: injected"]
    )
    func refusedTexts(text: String) {
        let id = #expect(throws: EventStreamError.self) { try ServerSentEvent(data: "x", id: text).encoded() }
        #expect(id?.code == .invalidCharacter)
        #expect(id?.field == "id")
        let name = #expect(throws: EventStreamError.self) { try ServerSentEvent(event: text, data: "x").encoded() }
        #expect(name?.code == .invalidCharacter)
        #expect(name?.field == "event")
        #expect(name?.description.contains("injected") == false)
    }

    @Test("A negative retry is refused")
    func negativeRetry() {
        let error = #expect(throws: EventStreamError.self) { try ServerSentEvent(retry: -1).encoded() }
        #expect(error?.code == .invalidRetry)
        #expect(error?.field == "retry")
        #expect(error.map { "\($0)".hasPrefix("invalidRetry: ") } == true)
    }

    @Test("A refused event leaves the buffer as it was, and others are appended")
    func buffer() throws {
        var buffer = Array("x".utf8)
        #expect(throws: EventStreamError.self) {
            try EventStreamEncoder.encode(.init(data: "a", id: "\n", comment: "b"), into: &buffer)
        }
        #expect(buffer == Array("x".utf8))
        try EventStreamEncoder.encode(.init(data: "a"), into: &buffer)
        try EventStreamEncoder.encode(.init(data: "b"), into: &buffer)
        #expect(buffer == Array("xdata: a\n\ndata: b\n\n".utf8))
    }
}

// SPDX-License-Identifier: Apache-2.0

import EventStream
import Testing

@Suite("Limits of the parser")
struct EventStreamLimitTests {
    private func error(in stream: String, limits: EventStreamParser.Limits) -> EventStreamError? {
        let bytes = Array(stream.utf8)
        let whole = outcome(of: [bytes], limits: limits)
        #expect(outcome(of: bytes.map { [$0] }, limits: limits) == whole)
        return whole.error
    }

    @Test("A line of exactly the limit passes and one byte more fails", arguments: ["\n", "\r", "\r\n", ""])
    func lineLimit(end: String) {
        let limits = EventStreamParser.Limits(maximumLineBytes: 10)
        #expect(error(in: "data: 1234\(end)", limits: limits) == nil)
        let failure = error(in: "data: 12345\(end)", limits: limits)
        #expect(failure?.code == .lineTooLong)
        #expect(failure?.limit == 10)
        #expect(failure?.field == nil)
    }

    @Test("Comments and unknown fields are held to the line limit too", arguments: [":", "unknown: ", ""])
    func lineLimitOfIgnoredLines(prefix: String) {
        let limits = EventStreamParser.Limits(maximumLineBytes: 10)
        let line = prefix + String(repeating: "x", count: 10 - prefix.utf8.count)
        #expect(error(in: line, limits: limits) == nil)
        #expect(error(in: line + "x", limits: limits)?.code == .lineTooLong)
    }

    @Test("Line limits count bytes, not characters")
    func lineLimitCountsBytes() {
        let limits = EventStreamParser.Limits(maximumLineBytes: 10)
        #expect(error(in: "data: éé\n", limits: limits) == nil)
        #expect(error(in: "data: ééé\n", limits: limits)?.code == .lineTooLong)
    }

    @Test(
        "An event of exactly the limit passes and one byte more fails",
        arguments: [
            ("data: 12345678", 8), ("data: 123\ndata: 4567", 8), ("data:\ndata: 1234567", 8), ("data: éé", 4),
            ("event: abc\ndata: 12345", 8), ("id: abc\ndata: 12345", 8), ("event: ab\nid: cd\ndata: 1234", 8),
            ("data: 1\nevent: 23\nevent: 4", 3), ("id: 12\nid: 3\ndata: 4", 2), ("id: 12", 2),
        ]
    )
    func eventLimit(block: String, size: Int) {
        #expect(error(in: block + "\n\n", limits: .init(maximumEventBytes: size)) == nil)
        let failure = error(in: block + "\n\n", limits: .init(maximumEventBytes: size - 1))
        #expect(failure?.code == .eventTooLarge)
        #expect(failure?.limit == size - 1)
    }

    @Test("The event limit starts again with each block, and comments do not count")
    func eventLimitIsForOneEvent() {
        let limits = EventStreamParser.Limits(maximumEventBytes: 4)
        #expect(error(in: "id: 1\ndata: 123\n\n: a comment\ndata: 1234\n\n", limits: limits) == nil)
    }

    @Test("Empty data lines without end do not grow an event past the limit")
    func emptyLines() {
        let limits = EventStreamParser.Limits(maximumEventBytes: 100)
        #expect(error(in: String(repeating: "data\n", count: 101), limits: limits) == nil)
        #expect(error(in: String(repeating: "data\n", count: 102), limits: limits)?.code == .eventTooLarge)
    }

    @Test("A parser that failed gives the same error again and reads nothing more")
    func staysFailed() throws {
        var parser = EventStreamParser(limits: .init(maximumLineBytes: 20))
        var elements: [EventStreamParser.Element] = []
        let stream = "id: 1\ndata: a\n\n" + String(repeating: "x", count: 21) + "\n\ndata: b\n\n"
        let first = #expect(throws: EventStreamError.self) { try parser.parse(stream.utf8, into: &elements) }
        let second = #expect(throws: EventStreamError.self) {
            try parser.parse("\n\ndata: c\n\n".utf8, into: &elements)
        }
        #expect(first == second)
        #expect(throws: EventStreamError.self) { try parser.parse([]) }
        #expect(elements == [.event(.init(data: "a", id: "1"))])
        #expect(parser.lastEventID == "1")
    }

    @Test("The message names the limit and what to change")
    func messages() {
        let line = error(in: "data: a\n", limits: .init(maximumLineBytes: 3))
        let event = error(in: "data: abcd\n", limits: .init(maximumEventBytes: 3))
        #expect(line?.description.contains("3 bytes; raise maximumLineBytes") == true)
        #expect(event?.description.contains("3 bytes; raise maximumEventBytes") == true)
    }
}

// SPDX-License-Identifier: Apache-2.0

import EventStream
import HTTPTypes
import Martlet
import TestSupport
import Testing

@testable import MartletHTTP

/// The events of a live upload, however its body is cut.
@Suite struct LiveBodyTests {
    private struct Result: Equatable {
        var events: [Event] = []
        var status: Int?
        var line: Int?
    }

    private static func limits(data: Int = 1024) -> Limits {
        var limits = Limits()
        limits.dataBytes = data
        return limits
    }

    private static func read(
        _ parts: [[UInt8]], _ format: LiveBody.Format, limits: Limits = limits()
    ) async -> Result {
        var body = LiveBody(format, of: "a", limits: limits, maximumObjectBytes: 4096)
        var result = Result()
        for part in parts {
            result.events += await body.read(part)
            if body.problem != nil { break }
        }
        if body.problem == nil { result.events += await body.finish() }
        result.status = body.problem?.status.code
        result.line = body.problem?.line
        return result
    }

    /// Reads a text as a whole, cut in two at every place, and byte by byte. All must give the same.
    private static func readEveryWay(
        _ text: String, _ format: LiveBody.Format, limits: Limits = limits()
    ) async -> Result {
        let bytes = Array(text.utf8)
        let whole = await read([bytes], format, limits: limits)
        for cut in bytes.indices {
            let cut2 = await read([Array(bytes[..<cut]), Array(bytes[cut...])], format, limits: limits)
            #expect(cut2 == whole, "cut at \(cut)")
        }
        #expect(await read(bytes.map { [$0] }, format, limits: limits) == whole)
        return whole
    }

    private static func event(_ data: String, id: String? = nil, type: String? = nil, retry: Int? = nil) -> Event {
        Event(topic: "a", data: data, id: id, type: type, retry: retry)
    }

    @Test("Each block of an event stream is an event with its own fields")
    func blocks() async {
        let text =
            "\u{FEFF}: hello\n\ndata: one\n\nid: 5\nevent: t\ndata: two\ndata:lines\n\ndata\r\n\r\nretry: 7\n\n"
            + "data: é🙂\rid\r\revent: lost\n\nid: 9\n\ndata: last\n\n: bye\n"
        let result = await Self.readEveryWay(text, .eventStream)
        let expected = [
            Self.event("one"), Self.event("two\nlines", id: "5", type: "t"), Self.event(""),
            Self.event("é🙂", retry: 7), Self.event("last"),
        ]
        #expect(result == Result(events: expected))
    }

    @Test(
        "A body that ends inside an event keeps those before it and is refused",
        arguments: ["data: x", "data: x\n", "id: 5\n", "event: t\n", ": comment"])
    func unfinished(end: String) async {
        let result = await Self.readEveryWay("data: one\n\n" + end, .eventStream)
        #expect(result == Result(events: [Self.event("one")], status: 400))
    }

    @Test("Each line is the data of an event, as it is; blank lines are none")
    func lines() async {
        let result = await Self.readEveryWay("{\"a\": 1} \r\n\n \t\r\n  x\r\ré🙂\nlast", .lines)
        let data = ["{\"a\": 1} ", "  x\r\ré🙂", "last"]
        #expect(result == Result(events: data.map { Self.event($0) }))
    }

    @Test("Each object names its topic, and the first wrong one is named by its line")
    func objects() async {
        let text =
            "{\"topic\":\"b\",\"data\":\"1\"}\r\n\n{\"topic\":\"c\",\"id\":\"5\",\"key\":\"k\"}\n{\"topic\":1}\nx"
        let result = await Self.readEveryWay(text, .objects)
        let expected = [Event(topic: "b", data: "1"), Event(topic: "c", data: "", id: "5", key: "k")]
        #expect(result == Result(events: expected, status: 400, line: 4))
    }

    @Test(
        "An event over a limit is refused, and those before it are kept",
        arguments: [
            (.eventStream, "data: 12345678\n\ndata: 123456789\n\n", 413),
            (.eventStream, "data: 12345678\n\ndata: 1234\ndata: 5678\n\n", 413),
            (.eventStream, "data: 12345678\n\nevent: gap\ndata: 1\n\n", 400),
            (.eventStream, "data: 12345678\n\nid: #1\ndata: 1\n\n", 400),
            (.eventStream, "data: 12345678\n\nretry: 86400001\ndata: 1\n\n", 400),
            (.lines, "12345678\r\n123456789\r\n", 413), (.lines, "12345678\n123456789", 413),
        ] as [(LiveBody.Format, String, Int)])
    func limited(format: LiveBody.Format, text: String, status: Int) async {
        let result = await Self.readEveryWay(text, format, limits: Self.limits(data: 8))
        #expect(result.events == [Self.event("12345678")] && result.status == status)
        #expect(result.line == (format == .lines ? 2 : nil))
    }

    @Test("A line without an end, and an event without one, take no more memory than the limit")
    func endless() async {
        let part = [UInt8](repeating: UInt8(ascii: "a"), count: 1000)
        for (format, start) in [(LiveBody.Format.lines, ""), (.eventStream, "data: "), (.objects, "")] {
            var body = LiveBody(format, of: "a", limits: Self.limits(), maximumObjectBytes: 1024)
            var count = 0
            #expect(await body.read(Array(start.utf8)).isEmpty)
            while body.problem == nil, count < 100 {
                #expect(await body.read(part).isEmpty)
                count += 1
            }
            #expect(body.problem?.status == .contentTooLarge && count <= 3)
        }
        var body = LiveBody(.eventStream, of: "a", limits: Self.limits(), maximumObjectBytes: 1024)
        for _ in 0..<10_000 where body.problem == nil { #expect(await body.read(Array("data: abc\n".utf8)).isEmpty) }
        #expect(body.problem?.status == .contentTooLarge)
    }

    @Test("A line that is not UTF-8 is refused; in an event stream it is repaired as browsers do")
    func notUTF8() async {
        let result = await Self.read([Array("a\n".utf8) + [0xFF, 0x0A]], .lines)
        #expect(result == Result(events: [Self.event("a")], status: 400, line: 2))
        let repaired = await Self.read([Array("data: a".utf8) + [0xFF, 0x0A, 0x0A]], .eventStream)
        #expect(repaired == Result(events: [Self.event("a\u{FFFD}")]))
    }

    @Test(
        "Any bytes are read the same however they are cut", arguments: [LiveBody.Format.eventStream, .lines, .objects])
    func fuzz(format: LiveBody.Format) async {
        let pieces = [
            "\n", "\n\n", "\r\n", "\r", "data:", "data: x", "id: 1", "id", "event: t", "retry: 5", ":", "é", "\u{FEFF}",
            "{\"topic\":\"a\"}", "{\"topic\":\"b\",\"data\":\"1\"}\n", " ", "\0", "{", "1234567890123456",
        ]
        var input = FuzzInput(pieces: pieces, count: 5000)
        while await input.next() {
            let whole = await Self.read([input.bytes], format, limits: Self.limits(data: 16))
            let parts = input.parts()
            let cut = await Self.read(parts, format, limits: Self.limits(data: 16))
            guard cut == whole else { return input.fail("cut into \(parts.map(\.count))") }
        }
    }
}

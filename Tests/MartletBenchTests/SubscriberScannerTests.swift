// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletBench

@Suite("Scanner of a subscriber")
struct SubscriberScannerTests {
    private typealias Item = SubscriberScanner.Item

    private static let rawHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
    private static let chunkedHead =
        "HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream\r\ntransfer-encoding: chunked\r\n\r\n"

    private static func head(_ fields: String) -> String { "HTTP/1.1 200 OK\r\n\(fields)\r\n\r\n" }

    /// The items of a response that arrives in pieces, which are cut before these bytes.
    private func items(_ response: String, cutAt cuts: [Int] = []) -> [Item] {
        let bytes = Array(response.utf8)
        var scanner = SubscriberScanner()
        var items: [Item] = []
        for (start, end) in zip([0] + cuts, cuts + [bytes.count]) {
            let piece = Array(bytes[start..<end])
            var position = 0
            while let item = scanner.next(in: piece.span, from: &position) { items.append(item) }
        }
        return items
    }

    /// The text in chunks of this many bytes, with the end of the body.
    private func chunked(_ text: String, size: Int) -> String {
        let bytes = Array(text.utf8)
        let chunks = stride(from: 0, to: bytes.count, by: size).map { start in
            let chunk = bytes[start..<min(start + size, bytes.count)]
            return "\(String(chunk.count, radix: 16));x=1\r\n\(String(decoding: chunk, as: UTF8.self))\r\n"
        }
        return chunks.joined() + "0\r\nTrailer: x\r\n\r\n"
    }

    private static let stream = """
        : comment
        retry: 1000

        id: 1
        data: m1 7 0 1000 abc

        event: x\r
        data:m1 7 1 2000 abc\r
        data: m1 7 9 9999 the second line is not looked at\r
        \r
        data: ts=3000

        dataset: m1 7 2 4000 x

        data
        datum

        data:  m1 7 2 5000 two spaces

        data: m1 7 2 5000

        data: m1 4294967296 2 5000 a run of too many bits

        data: m1 7 18446744073709551616 5000 a sequence number of too many bits

        data: m1  2 5000 no run

        data: ts=x

        data: m1 7 3 6000 the end

        data: m1 7 4 7000 never ended

        """

    private static let marks: [MarkScanner.Mark] = [
        .event(EventMark(run: 7, sequence: 0, sentAt: 1000)),
        .event(EventMark(run: 7, sequence: 1, sentAt: 2000)),
        .time(3000), .none, .none, .none, .none, .none, .none, .none,
        .event(EventMark(run: 7, sequence: 3, sentAt: 6000)),
    ]

    @Test("Events and their marks are found in a stream up to the end of the connection")
    func raw() {
        #expect(items(Self.rawHead + Self.stream) == [.accepted] + Self.marks.map { .event($0) })
    }

    @Test("Chunks of any size make no difference", arguments: [1, 2, 3, 5, 16, 100, 10_000])
    func chunks(size: Int) {
        let response = Self.chunkedHead + chunked(Self.stream, size: size)
        #expect(items(response) == [.accepted] + Self.marks.map { .event($0) } + [.ended])
    }

    @Test("A cut before any byte makes no difference", arguments: [0, 1, 7, 1000])
    func cuts(chunkSize: Int) {
        let response =
            chunkSize == 0 ? Self.rawHead + Self.stream : Self.chunkedHead + chunked(Self.stream, size: chunkSize)
        let whole = items(response)
        for cut in 0...response.utf8.count {
            #expect(items(response, cutAt: [cut]) == whole)
        }
        #expect(items(response, cutAt: Array(1..<response.utf8.count)) == whole)
    }

    @Test("Lines end with LF, CR or CRLF", arguments: ["\n", "\r", "\r\n"])
    func lineEnds(end: String) {
        let lines = ["data: m1 7 0 1000 x", "", "", ": x", "data: m1 7 1 2000 x", "id", "", "data: ts=5", "", "x"]
        let response = Self.rawHead + lines.joined(separator: end)
        let expected: [Item] = [
            .accepted, .event(.event(EventMark(run: 7, sequence: 0, sentAt: 1000))),
            .event(.event(EventMark(run: 7, sequence: 1, sentAt: 2000))), .event(.time(5)),
        ]
        for cut in 0...response.utf8.count {
            #expect(items(response, cutAt: [cut]) == expected)
        }
    }

    @Test("The longest mark is read back, and is as long as it says")
    func longestMark() {
        let mark = EventMark(run: .max, sequence: .max, sentAt: .max)
        #expect(mark.text.utf8.count == EventMark.longest)
        #expect(items(Self.rawHead + "data: \(mark.text)\n\n") == [.accepted, .event(.event(mark))])
    }

    @Test("An interim response is passed over")
    func interim() {
        #expect(items("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + Self.rawHead) == [.accepted])
    }

    @Test(
        "An answer that is not a stream is told, and nothing after it",
        arguments: [
            (
                "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx",
                SubscriberScanner.Item.rejected("has status 404")
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx",
                .rejected("has the type \"text/html\" in place of text/event-stream")
            ),
            ("HTTP/1.1 200 OK\r\n\r\nx", .rejected("has no type in place of text/event-stream")),
            (
                head("Content-Type: text/event-stream\r\nContent-Type: text/plain"),
                .rejected("has the type \"text/plain\" in place of text/event-stream")
            ),
            (
                head("Content-Type: text/event-stream\r\nContent-Encoding: gzip"),
                .rejected("is encoded as \"gzip\", which cannot be read; turn that off")
            ),
            (
                head("Content-Type: text/event-stream\r\nTransfer-Encoding: gzip, chunked"),
                .rejected("is encoded as \"gzip\", which cannot be read; turn that off")
            ),
            ("SSH-2.0-OpenSSH\r\n\r\n", .malformed(.other)), ("HTTP/2.0 200 OK\r\n\r\n", .malformed(.other)),
            ("HTTP/1.1 -20 OK\r\n\r\n", .malformed(.other)), ("HTTP/1.1 099 OK\r\n\r\n", .malformed(.other)),
            (head("Content-Length: 99999999999999999999"), .malformed(.other)),
            (head("Content-Length: 1\r\nContent-Length: 2"), .malformed(.other)),
            (head("Content-Length: -1"), .malformed(.other)),
            ("\u{15}\u{3}\u{1}\0\u{2}\u{2}F", .malformed(.tls)), ("\0\0\u{6}\u{4}\0\0\0\0\0", .malformed(.http2)),
            (String(repeating: "x", count: HeadScanner.mostBytes + 1), .malformed(.other)),
            ("HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: HeadScanner.mostBytes), .malformed(.other)),
        ]
    )
    func rejected(response: String, item: SubscriberScanner.Item) {
        #expect(items(response) == [item])
        #expect(items(response, cutAt: Array(1..<response.utf8.count)) == [item])
    }

    @Test(
        "Chunks that are malformed end the stream",
        arguments: ["x\r\n", "2\r\nabc", "1\r\na\rb", "-1\r\n", "\r\n", "1\r\na\r\n\r\n", "fffffffffffffffff\r\n"])
    func malformedChunks(body: String) {
        #expect(items(Self.chunkedHead + body + "\r\n\r\n") == [.accepted, .malformed(.body)])
    }

    @Test("A body with a length ends after it")
    func length() {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n"
        #expect(items(head + "data: x\n\ndata: y\n\n") == [.accepted, .event(.none), .ended])
    }
}

@Suite("The memo of what was scanned")
struct ScanMemoTests {
    private let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

    /// A scanner that has taken a text, and the marks that it found.
    private func scan(_ text: String, with scanner: inout SubscriberScanner) -> [MarkScanner.Mark] {
        let bytes = Array(text.utf8)
        var position = 0
        var marks: [MarkScanner.Mark] = []
        while let item = scanner.next(in: bytes.span, from: &position) {
            if case .event(let mark) = item { marks.append(mark) }
        }
        return marks
    }

    @Test("The same bytes in the same state come to the same, other bytes or another state to nothing")
    func hits() {
        let text = "data: m1 7 1 5 x\n\ndata: m1 7 2 6 x\n\nda"
        var memo = ScanMemo()
        var first = SubscriberScanner()
        _ = scan(head, with: &first)
        var others = [first, first, first]
        let before = first
        let marks = scan(text, with: &first)
        memo.remember(Array(text.utf8), text.utf8.count, before: before, after: first, marks: marks)

        #expect(memo.scans(Array((text + "more in the buffer").utf8), text.utf8.count, with: &others[0]))
        #expect(others[0] == first)
        #expect(memo.marks == marks && marks.count == 2)
        // Of the same length, but another event.
        let other = text.replacing("2 6", with: "3 6")
        #expect(!memo.scans(Array(other.utf8), other.utf8.count, with: &others[1]))
        #expect(others[1] == before)
        // In the middle of a line.
        _ = scan("data", with: &others[2])
        #expect(!memo.scans(Array(text.utf8), text.utf8.count, with: &others[2]))
    }
}

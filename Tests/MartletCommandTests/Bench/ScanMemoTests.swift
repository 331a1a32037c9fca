// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

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

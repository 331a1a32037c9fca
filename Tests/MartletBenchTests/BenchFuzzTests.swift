// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import MartletBench

@Suite("Random servers", .timeLimit(.minutes(60))) struct BenchFuzzTests {
    private static let pieces = [
        "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 x\r\n", "HTTP/1.0 099 x\r\n", "HTTP/1.1 -20 x\r\n",
        "Content-Type: text/event-stream",
        "Content-Length: ", "Transfer-Encoding: chunked", "Connection: close", "Content-Encoding: gzip",
        "9223372036854775807",
        "99999999999999999999", "\r\n", "\n", "\r", "\r\n\r\n", "5\r\n", "ffffffffffffffff\r\n", "0\r\n", ";x",
        "data: m1 7 ", "data: ts=",
        "18446744073709551615 ", "1 ", "\u{301}", "\0", "\u{15}\u{3}\u{1}",
    ]

    private static let answer =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        + "18\r\ndata: m1 7 0 5 aaaaaaa\n\n\r\n0\r\n\r\n"

    @Test("Bytes that a server sends to bench in any pieces are counted or refused")
    func subscribers() async {
        var input = FuzzInput(pieces: Self.pieces)
        while await input.next(from: [Self.answer, ""]) {
            let parts = input.parts()
            #expect(Self.items([input.bytes]) == Self.items(parts), "seed \(input.seed)")
            var answers = AnswerScanner()
            for part in parts {
                var position = 0
                while let item = answers.next(in: part.span, from: &position) {
                    if case .malformed = item { break }
                }
            }
        }
    }

    private static func items(_ parts: [[UInt8]]) -> [SubscriberScanner.Item] {
        var scanner = SubscriberScanner()
        var tally = BenchTally()
        var ledger = SequenceLedger()
        var items: [SubscriberScanner.Item] = []
        tally.beginMeasuring(at: 0)
        for part in parts {
            var position = 0
            while let item = scanner.next(in: part.span, from: &position) {
                items.append(item)
                if case .event(let mark) = item {
                    tally.receive(mark, at: 1000, published: (7, 3), ledger: &ledger)
                    tally.receive(mark, at: 1000, published: nil, ledger: &ledger)
                }
            }
        }
        return items
    }
}

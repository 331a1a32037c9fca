// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

@Suite struct NoticeFuzzTests {
    @Test("What other nodes say is refused, or is a notice that is written the same")
    func notices() async {
        let words: [Notice.Words] = [
            .hello, .say([1, 2]), .take(name: "p.q", at: "p", request: "r"), .give(request: "r", bytes: [1]),
            .post(NodeName(), change: 3, version: 1, milliseconds: 10, part: 1, of: 2, bytes: [1, 2, 3]),
            .renew(NodeName(), change: 4, milliseconds: 10), .remove(NodeName(), change: 5),
        ]
        let corpus = words.map { Notice(board: "b", from: "f", words: $0).text }
        var book = NoticeBook(maximumBytes: 1000)
        _ = book.take(Notice(board: "b", from: book.place, words: .hello), now: .now)
        var input = FuzzInput(
            pieces: [
                " ", "hello", "post", "renew", "remove", "say", "take", "give", "YQ", "-1", "0",
                "18446744073709551616", "\u{E9}",
            ])
        while await input.next(from: corpus) {
            guard let notice = Notice(input.text) else { continue }
            if Notice(notice.text) != notice { input.fail("\(notice.text) is another") }
            _ = book.take(notice, now: .now)
        }
    }
}

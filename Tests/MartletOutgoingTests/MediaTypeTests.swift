// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletOutgoing

@Suite("Types of answers") struct MediaTypeTests {
    @Test(
        "The type of an answer is extracted as in Fetch",
        arguments: [
            (["text/event-stream"], "text/event-stream"), (["Text/HTML; charset=utf-8"], "text/html"),
            ([" text/html\t;a=b"], "text/html"), (["text/html;"], "text/html"), ([], nil), ([""], nil), (["text"], nil),
            (["text/"], nil), (["/html"], nil), (["te xt/html"], nil), (["text/ht(ml"], nil), (["*/*"], nil),
            (["text /html"], nil), (["text/plain", "text/html"], "text/html"), (["text/plain", ""], "text/plain"),
            (["text/plain, text/html"], "text/html"), (["text/html, */*"], "text/html"),
            (["text/html", "x"], "text/html"),
            (["text/html;a=\", text/plain\""], "text/html"), (["text/html;a=\"\\\", x/y\""], "text/html"),
            (["text/html;a=\"", "text/plain"], "text/html"), (["text/html\u{301}"], nil), (["text/h\u{212A}"], nil),
        ] as [([String], String?)])
    func essence(fields: [String], essence: String?) {
        #expect(MediaType.essence(of: fields) == essence)
    }
}

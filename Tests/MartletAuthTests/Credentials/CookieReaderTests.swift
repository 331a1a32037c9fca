// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletAuth

@Suite struct CookieReaderTests {
    @Test(
        arguments: [
            (["t=1"], "1"), (["a=2; t=1"], "1"), (["a=2;t=1;b=3"], "1"), (["a=2", "t=1"], "1"), (["t=a=b="], "a=b="),
            (["t=1; t=2"], "1"), (["t=; t=2"], "2"), (["t=\"1\""], "1"), (["t=\"1"], "\"1"), ([" t = 1 "], "1"),
            (["T=1"], nil), (["tt=1"], nil), (["t"], nil), (["t="], nil), (["t=\"\""], nil), ([], nil), ([""], nil),
            ([";;=;t"], nil), (["a=1;\u{301}t=1"], nil), (["t=\u{301}1"], "\u{301}1"),
            (["t=1\u{37E}a=2"], "1\u{37E}a=2"),
            (["t=\"\u{301}1\""], "\u{301}1"), (["t= \u{301} "], "\u{301}"), (["a=\"; t=1"], "1"),
        ] as [([String], String?)])
    func `a cookie is found by its name`(headers: [String], value: String?) {
        #expect(CookieReader.value(of: "t", in: headers) == value)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletAuth

@Suite struct QueryParametersTests {
    @Test(
        arguments: [
            ("/a?t=1", ["1"]), ("/a?t=1&b=2&t=3", ["1", "3"]), ("/a?%74=1", ["1"]), ("/a?t", [""]), ("/a?t=", [""]),
            ("/a?t=a=b", ["a=b"]), ("/a?t=a+b%2B%25", ["a b+%"]), ("/a?t=%zz", ["%zz"]), ("/a?T=1", []), ("/a", []),
            ("", []), ("?", []), ("/a?b?t=1", []), ("/a?\u{301}t=1&t=\u{301}2", ["\u{301}2"]), ("/a?b&\u{301}t=1", []),
            ("/a?t=%ff", ["%ff"]),
            ("http://h/a?t=1", ["1"]),
        ])
    func `the values of a parameter are decoded`(target: String, values: [String]) {
        #expect(QueryParameters(target: target).values(of: "t") == values)
    }

    @Test(
        arguments: [
            ("/a?t=1", "/a"), ("/a?t=1&b=2&t=3&c=%20+x", "/a?b=2&c=%20+x"), ("/a?%74=1&b", "/a?b"), ("/a%3F", "/a%3F"),
            ("/a?", "/a"), ("/a?tt=1", "/a?tt=1"),
        ])
    func `parameters are left out, and the others stay as they were written`(target: String, rest: String) {
        #expect(QueryParameters(target: target).target(without: ["t"]) == rest)
    }
}

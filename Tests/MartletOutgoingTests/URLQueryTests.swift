// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import Testing

@Suite("Queries of URLs") struct URLQueryTests {
    @Test(
        "A parameter follows the query, which stays as it is",
        arguments: [
            ("http://h/events/a", "http://h/events/a?topic=x"), ("http://h/e?", "http://h/e?topic=x"),
            ("http://h/e?topic=a%20b&c", "http://h/e?topic=a%20b&c&topic=x"),
            ("http://h/e?a=1&", "http://h/e?a=1&topic=x"),
            ("http://h/e?a#b?c", "http://h/e?a&topic=x"), ("http://h", "http://h?topic=x"),
        ])
    func parameter(url: String, result: String) {
        #expect(URLQuery.adding([("topic", "x")], to: url) == result)
    }

    @Test("Values are escaped, except for unreserved characters")
    func escaping() {
        let url = URLQuery.adding([("topic", "a/{b} c+é&="), ("since", "-._~\u{1}")], to: "http://h/")
        #expect(url == "http://h/?topic=a%2F%7Bb%7D%20c%2B%C3%A9%26%3D&since=-._~%01")
    }

    @Test("Without parameters, only the fragment is removed")
    func noParameters() {
        #expect(URLQuery.adding([], to: "http://h/e?q=1") == "http://h/e?q=1")
        #expect(URLQuery.adding([], to: "http://h/e#f") == "http://h/e")
    }
}

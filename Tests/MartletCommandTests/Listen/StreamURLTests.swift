// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite struct StreamURLTests {
    @Test(
        arguments: [
            ("http://h/events/a", "http://h/events/a?topic=x"), ("http://h/e?", "http://h/e?topic=x"),
            ("http://h/e?topic=a%20b&c", "http://h/e?topic=a%20b&c&topic=x"),
            ("http://h/e?a=1&", "http://h/e?a=1&topic=x"),
            ("http://h/e?a#b?c", "http://h/e?a&topic=x"), ("http://h", "http://h?topic=x"),
        ])
    func `a parameter is put behind the query, which stays as it is`(url: String, result: String) {
        #expect(StreamURL.adding([("topic", "x")], to: url) == result)
    }

    @Test func `values are escaped but for unreserved characters`() {
        let url = StreamURL.adding([("topic", "a/{b} c+é&="), ("since", "-._~\u{1}")], to: "http://h/")
        #expect(url == "http://h/?topic=a%2F%7Bb%7D%20c%2B%C3%A9%26%3D&since=-._~%01")
    }

    @Test func `without parameters only the fragment goes`() {
        #expect(StreamURL.adding([], to: "http://h/e?q=1") == "http://h/e?q=1")
        #expect(StreamURL.adding([], to: "http://h/e#f") == "http://h/e")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite("Target of a request")
struct HTTPTargetTests {
    @Test(
        "A URL gives the parts of a request",
        arguments: [
            ("http://127.0.0.1:8080/events/a?b=c&d", "127.0.0.1", 8080, "127.0.0.1:8080", "/events/a?b=c&d"),
            ("http://localhost", "localhost", 80, "localhost", "/"),
            ("HTTP://[::1]:99/%C3%A9?", "::1", 99, "[::1]:99", "/%C3%A9?"),
            ("http://h:1?x", "h", 1, "h:1", "/?x"),
        ]
    )
    func parts(url: String, host: String, port: Int, authority: String, requestTarget: String) throws {
        let target = try #require(HTTPTarget(url))
        #expect(target.host == host)
        #expect(target.port == port)
        #expect(target.authority == authority)
        #expect(target.requestTarget == requestTarget)
    }

    @Test(
        "Other texts are none",
        arguments: [
            "", "localhost:80", "https://localhost/", "http://", "http:///x", "http://a:b@h/", "http://h:99999/",
        ]
    )
    func malformed(url: String) {
        #expect(HTTPTarget(url) == nil)
    }
}

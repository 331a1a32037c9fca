// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletMercure

@Suite struct CrossOriginTests {
    private func origins(_ texts: String...) throws -> CrossOrigin {
        CrossOrigin(allowed: try texts.map { try OriginPattern($0) })
    }

    @Test(
        arguments: [
            ("*", "https://a.example", true), ("*", "null", true),
            ("https://example.com", "https://example.com", true),
            ("HTTPS://Example.com:443", "https://example.com", true),
            ("http://example.com:80", "http://example.com", true),
            ("http://localhost:3000", "http://localhost:3000", true),
            ("https://example.com", "http://example.com", false),
            ("https://example.com", "https://example.com:8443", false),
            ("https://example.com", "https://example.com.evil", false), ("https://example.com", "null", false),
            ("https://*.example.com", "https://a.example.com", true),
            ("https://*.example.com", "https://a.b.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://.example.com", false),
            ("https://*.example.com", "https://evilexample.com", false),
            ("https://*.example.com", "http://a.example.com", false),
            ("https://*.example.com", "https://evil/.example.com", false),
            ("https://*.example.com", "https://evil:1.example.com", false),
            ("https://*.example.com", "https://a.example.com.evil", false),
            ("https://*.example.com:1", "https://a.example.com:1", true),
        ])
    func `an origin is matched as a whole`(pattern: String, origin: String, matches: Bool) throws {
        #expect(try OriginPattern(pattern).matches(origin) == matches)
    }

    @Test(
        arguments: [
            "", "null", "example.com", "https://", "https://*", "https://*.", "https://*example.com", "*://example.com",
            "https://a.*.com", "https://*.*.com", "https://example.com/", "https://a b", "**",
        ])
    func `other settings are refused`(text: String) {
        #expect(throws: MercureProblem.self) { try OriginPattern(text) }
    }

    @Test func `credentials are allowed only where the answer names the origin`() throws {
        let both = try origins("*", "https://a.example")
        #expect(
            both.answer(to: "https://a.example")
                == CrossOrigin.Answer(allowOrigin: "https://a.example", allowsCredentials: true, varies: true))
        #expect(both.answer(to: "https://b.example") == CrossOrigin.Answer(allowOrigin: "*", varies: true))
        #expect(try origins("*").answer(to: "null") == CrossOrigin.Answer(allowOrigin: "*"))
        #expect(try origins("https://a.example").answer(to: "https://b.example") == CrossOrigin.Answer(varies: true))
        #expect(try origins("https://a.example").answer(to: nil) == CrossOrigin.Answer(varies: true))
        #expect(try origins().answer(to: "https://a.example") == CrossOrigin.Answer())
    }

    @Test func `a cookie publishes only from an allowed origin, and Origin counts before Referer`() throws {
        let allowed = try origins("https://a.example", "https://*.b.example")
        try allowed.checkCookiePost(origin: "https://a.example", referer: "https://evil.example/")
        try allowed.checkCookiePost(origin: nil, referer: "https://a.example/page?x")
        try allowed.checkCookiePost(origin: "https://x.b.example", referer: nil)
        for (origin, referer) in [
            (nil, nil), ("https://evil.example", "https://a.example/"), ("null", "https://a.example/"), (nil, "/page"),
            (nil, "https://evil.example/https://a.example"), (nil, "https://a.example@evil.example/"), ("", nil),
            (nil, "https://a.example.evil/"),
        ] as [(String?, String?)] {
            let problem = #expect(throws: MercureProblem.self) {
                try allowed.checkCookiePost(origin: origin, referer: referer)
            }
            #expect(problem?.status == 401)
        }
    }
}

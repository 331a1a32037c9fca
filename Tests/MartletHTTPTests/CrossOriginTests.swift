// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import NIOCore
import Testing

@testable import MartletHTTP

@Suite struct CrossOriginTests {
    @Test(
        "An origin is matched as a whole",
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
            ("null", "null", true), ("NULL", "null", true), ("null", "https://example.com", false),
            ("capacitor://localhost", "capacitor://localhost", true), ("ionic://localhost", "ionic://localhost", true),
            ("capacitor://localhost", "ionic://localhost", false), ("capacitor://", "capacitor://", true),
            ("capacitor://", "capacitor://localhost", false), ("file://", "file://", true), ("file://", "null", false),
            ("chrome-extension://abcdef", "chrome-extension://abcdef", true),
            ("app+x.y-z://a:1", "app+x.y-z://a:1", true),
            ("http://[::1]:3000", "http://[::1]:3000", true), ("https://127.0.0.1:443", "https://127.0.0.1", true),
            ("https://[::ffff:7f00:1]", "https://[::ffff:7f00:1]", true),
            ("https://example.com.", "https://example.com.", true), ("https://a:65535", "https://a:65535", true),
            ("https://example.com", "https://example.com\u{301}", false),
            ("https://*.example.com", "https://\u{301}.example.com", false),
            ("https://*.example.com", "https://A.example.com", false),
        ])
    func originIsMatched(pattern: String, origin: String, matches: Bool) {
        #expect(OriginPattern(pattern)?.matches(origin) == matches)
    }

    @Test(
        "Other settings are refused",
        arguments: [
            "", "example.com", "https://", "https://*", "https://*.", "https://*example.com", "*://example.com",
            "https://a.*.com", "https://*.*.com", "https://example.com/", "https://a b", "**", "https://a:b:c",
            "https://a:99999", "https://a:65536", "https://a:0", "https://a:", "https://a:01", "https://a:-1",
            "https://:443", "http://", "https://user@a", "https://u:p@a", "https://a/b", "https://a?b", "https://a#b",
            "https://a..b", "https://.a", "https://[::1", "https://[0:0::1]", "https://[::1%25lo]", "https://127.1",
            "https://127.0.0.01", "https://0x7f.0.0.1", "https://*.1.2.3.4", "https://*.[::1]",
            "https://m\u{FC}nchen.de",
            "https://\u{212A}.example", "https:/a", "https:a", "https//a", "://a", "1a://b", "a b://c",
            "https://a,https://b",
            "capacitor://localhost/", "capacitor://:80", "\u{301}https://a", "https://\u{301}a", "nul", "null ",
        ])
    func otherSettingsAreRefused(text: String) {
        #expect(OriginPattern(text) == nil)
    }

    private func headers(_ allowed: String..., origin: String?) throws -> HTTPFields {
        CrossOriginRules(allowed: try allowed.map { try #require(OriginPattern($0)) }).headers(for: origin)
    }

    @Test("Credentials are allowed only where the answer names the origin")
    func credentialsAreAllowed() throws {
        let named = try headers("*", "https://a.example", origin: "https://a.example")
        #expect(named[.accessControlAllowOrigin] == "https://a.example")
        #expect(named[.accessControlAllowCredentials] == "true")
        #expect(named[.accessControlExposeHeaders] == "ETag, Last-Event-ID, Link, Martlet-End, Martlet-Gap")
        #expect(named[.vary] == "Origin")
        let other = try headers("*", "https://a.example", origin: "https://b.example")
        #expect(other[.accessControlAllowOrigin] == "*")
        #expect(other[.accessControlAllowCredentials] == nil)
        #expect(other[.vary] == "Origin")
        #expect(try headers("*", origin: "null")[.accessControlAllowOrigin] == "*")
        #expect(try headers("*", origin: "null")[.vary] == nil)
        #expect(try headers("https://a.example", origin: "https://b.example") == [.vary: "Origin"])
        #expect(try headers("https://a.example", origin: nil) == [.vary: "Origin"])
        #expect(try headers(origin: "https://a.example") == [:])
    }

    @Test("A preflight allows every header that clients send")
    func preflightAllowsEveryHeader() throws {
        let rules = CrossOriginRules(allowed: [try #require(OriginPattern("https://a.example"))])
        let headers = rules.preflightHeaders(for: "https://a.example", methods: "GET, POST")
        let allowed = headers[.accessControlAllowHeaders]?.split(separator: ", ").map(String.init) ?? []
        for name in [
            "authorization", "cache-control", "content-type", "event-id", "event-key", "event-private", "event-retry",
            "event-type", "idempotency-key", "if-none-match", "last-event-id", "x-requested-with",
        ] {
            #expect(allowed.contains(name))
        }
        let other = rules.preflightHeaders(for: "https://b.example", methods: "GET, POST")
        #expect(other[.accessControlAllowHeaders] == nil)
    }

    @Test("Listing null allows cookies, and a star does not")
    func listingNullAllowsCookies() throws {
        #expect(try headers("null", origin: "null")[.accessControlAllowOrigin] == "null")
        #expect(try headers("null", origin: "null")[.accessControlAllowCredentials] == "true")
        #expect(try headers("*", origin: "null")[.accessControlAllowCredentials] == nil)
        #expect(try headers("https://a.example", origin: "null") == [.vary: "Origin"])
        #expect(try headers("*", origin: "capacitor://localhost")[.accessControlAllowOrigin] == "*")
    }

    @Test("Where a request comes from is what Origin says, else Referer")
    func whereARequestComes() {
        func source(_ origin: String?, _ referer: String?) -> String? {
            var headers: HTTPFields = [:]
            headers[.origin] = origin
            headers[.referer] = referer
            return HubRequest(method: .post, target: "/", headers: headers).sourceOrigin
        }
        #expect(source("https://a.example", "https://b.example/") == "https://a.example")
        #expect(source(nil, "https://a.example/page?x") == "https://a.example")
        #expect(source("", "https://a.example/") == "")
        #expect(source(nil, "https://evil.example/https://a.example") == "https://evil.example")
        #expect(source(nil, "https://a.example@evil.example/") == nil)
        #expect(source(nil, "https://evil.example/\u{301}https://a.example") == "https://evil.example")
        #expect(source(nil, "https://a.example?x") == "https://a.example")
        #expect(source(nil, "https:/a.example/") == nil)
        #expect(source(nil, "/page") == nil)
        #expect(source(nil, nil) == nil)
    }
}

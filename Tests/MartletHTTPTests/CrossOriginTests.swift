// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import NIOCore
import Testing

@testable import MartletHTTP

@Suite struct CrossOriginTests {
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
    func `an origin is matched as a whole`(pattern: String, origin: String, matches: Bool) {
        #expect(OriginPattern(pattern)?.matches(origin) == matches)
    }

    @Test(
        arguments: [
            "", "null", "example.com", "https://", "https://*", "https://*.", "https://*example.com", "*://example.com",
            "https://a.*.com", "https://*.*.com", "https://example.com/", "https://a b", "**",
        ])
    func `other settings are refused`(text: String) {
        #expect(OriginPattern(text) == nil)
    }

    private func headers(_ allowed: String..., origin: String?) throws -> HTTPFields {
        CrossOriginRules(allowed: try allowed.map { try #require(OriginPattern($0)) }).headers(for: origin)
    }

    @Test func `credentials are allowed only where the answer names the origin`() throws {
        let named = try headers("*", "https://a.example", origin: "https://a.example")
        #expect(named[.accessControlAllowOrigin] == "https://a.example")
        #expect(named[.accessControlAllowCredentials] == "true")
        #expect(named[.accessControlExposeHeaders] == "Last-Event-ID, Link, Martlet-Gap")
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

    @Test func `where a request comes from is what Origin says, else Referer`() {
        func source(_ origin: String?, _ referer: String?) -> String? {
            var head = HTTPRequest(method: .post, scheme: "http", authority: "hub.example", path: "/")
            head.headerFields[.origin] = origin
            head.headerFields[.referer] = referer
            return Request(head: head, body: .init(buffer: ByteBuffer())).sourceOrigin
        }
        #expect(source("https://a.example", "https://b.example/") == "https://a.example")
        #expect(source(nil, "https://a.example/page?x") == "https://a.example")
        #expect(source("", "https://a.example/") == "")
        #expect(source(nil, "https://evil.example/https://a.example") == "https://evil.example")
        #expect(source(nil, "https://a.example@evil.example/") == nil)
        #expect(source(nil, "/page") == nil)
        #expect(source(nil, nil) == nil)
    }
}

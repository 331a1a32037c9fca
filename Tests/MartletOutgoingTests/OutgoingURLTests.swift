// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import TestSupport
import Testing

@testable import MartletOutgoing

@Suite("URLs of servers that are asked") struct OutgoingURLTests {
    @Test(
        "A URL gives the parts of a request",
        arguments: [
            ("http://127.0.0.1:8080/events/a?b=c&d", "127.0.0.1", 8080, "127.0.0.1:8080", "/events/a?b=c&d"),
            ("http://localhost", "localhost", 80, "localhost", "/"),
            ("https://Example.com/", "Example.com", 443, "Example.com", "/"),
            ("HTTP://[::1]:99/%C3%A9?", "::1", 99, "[::1]:99", "/%C3%A9?"),
            ("http://[::ffff:1.2.3.4]", "::ffff:1.2.3.4", 80, "[::ffff:1.2.3.4]", "/"),
            ("http://h:1?x", "h", 1, "h:1", "/?x"), ("http://h:65535/", "h", 65535, "h:65535", "/"),
            ("http://h:/x", "h", 80, "h", "/x"), ("http://h:0080/x", "h", 80, "h:80", "/x"),
            ("http://h/a#b?c", "h", 80, "h", "/a"), ("http://a_b.c-d/p:q@r", "a_b.c-d", 80, "a_b.c-d", "/p:q@r"),
        ])
    func parts(text: String, host: String, port: Int, authority: String, requestTarget: String) throws {
        let url = try OutgoingURL(text)
        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.authority == authority)
        #expect(url.requestTarget == requestTarget)
    }

    @Test(
        "What a request line cannot carry is percent-encoded, once",
        arguments: [
            ("http://h/a b", "http://h/a%20b"), ("http://h/a%20b c", "http://h/a%20b%20c"),
            ("http://h/\u{E9}?q=\u{301}", "http://h/%C3%A9?q=%CC%81"), ("http://h/100%?%zz", "http://h/100%25?%25zz"),
            ("http://h/[{\"x\"}]\\", "http://h/%5B%7B%22x%22%7D%5D%5C"), ("http://h/%7e?a?b", "http://h/%7e?a?b"),
            ("http://h/a#b", "http://h/a"), ("http://h/%4", "http://h/%254"),
        ])
    func encoding(text: String, encoded: String) throws {
        let url = try OutgoingURL(text)
        #expect(url.text == encoded)
        #expect(try OutgoingURL(url.text) == url)
    }

    @Test(
        "What is wrong with a URL is said",
        arguments: [
            ("", .scheme), ("localhost:80", .scheme), ("127.0.0.1:80", .scheme), ("ftp://h/", .scheme), ("/x", .scheme),
            ("//h/x", .scheme), (" http://h/", .scheme), ("http", .scheme), ("\u{212A}ttp://h/", .scheme),
            ("http:", .host), ("http:/h", .host), ("http://", .host), ("http:///x", .host), ("http://:80/", .host),
            ("http://?x", .host), ("http://a b/", .host), ("http://a%0Ab/", .host), ("http://%68/", .host),
            ("http://[::1/", .host), ("http://[::1]x/", .host), ("http://[1.2.3.4]/", .host), ("http://[]/", .host),
            ("http://[fe80::1%25eth0]/", .host), ("http://[v1.x]/", .host), ("http://a\\b/", .host),
            ("http://a\u{301}:80:90/", .port),
            ("http://h:0/", .port), ("http://h:65536/", .port), ("http://h:99999/", .port), ("http://h:-1/", .port),
            ("http://h:+1/", .port), ("http://h:99999999999999999999/", .port), ("http://h:8o/", .port),
            ("http://h:\u{661}/", .port), ("http://[::1]:65536/", .port), ("http://h: 80/", .port),
            ("http://u@h/", .user), ("http://u:p@h/", .user), ("http://@h/", .user), ("http://u:p@h:99999/", .user),
            ("http://h/\n", .control), ("http://h/a\u{7F}", .control), ("http://h\0/", .control),
        ] as [(String, OutgoingURLError)])
    func malformed(text: String, reason: OutgoingURLError) {
        let error = #expect(throws: OutgoingURLError.self) { try OutgoingURL(text) }
        #expect(error == reason)
    }

    @Test(
        "A reference is resolved as RFC 3986 section 5.4 shows",
        arguments: [
            ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"), ("/g", "http://a/g"),
            ("//g", "http://g"), ("?y", "http://a/b/c/d;p?y"), ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"), (";x", "http://a/b/c/;x"), ("", "http://a/b/c/d;p?q"), (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"), ("..", "http://a/b/"), ("../g", "http://a/b/g"), ("../..", "http://a/"),
            ("../../g", "http://a/g"), ("../../../g", "http://a/g"), ("/./g", "http://a/g"), ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."), ("..g", "http://a/b/c/..g"), ("./g/.", "http://a/b/c/g/"),
            ("g/../h", "http://a/b/c/h"), ("g;x=1/../y", "http://a/b/c/y"), ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("https://b:444/x/../y", "https://b:444/y"), ("/\\evil", "http://a/%5Cevil"), (" /g\t", "http://a/g"),
        ])
    func resolving(reference: String, text: String) throws {
        #expect(try OutgoingURL("http://a/b/c/d;p?q").resolving(reference).text == text)
    }

    @Test(
        "A reference that leads nowhere is an error",
        arguments: ["ftp://a/", "http:g", "g:h", "//u@b/", "//b:0/", "/\u{1}"])
    func unresolvable(reference: String) {
        #expect(throws: OutgoingURLError.self) { try OutgoingURL("http://a/b/c/d;p?q").resolving(reference) }
    }

    @Test("A reference is resolved from a URL without a path")
    func withoutPath() throws {
        #expect(try OutgoingURL("http://a").resolving("g").text == "http://a/g")
        #expect(try OutgoingURL("http://a?q").resolving("?y").text == "http://a?y")
    }

    @Test("An origin is the scheme, the host in any case, and the port, which the scheme may imply")
    func origins() throws {
        let url = try OutgoingURL("https://a/x")
        for same in ["HTTPS://A:443/y", "https://a"] { #expect(url.hasSameOrigin(as: try OutgoingURL(same))) }
        for other in ["http://a/x", "https://a:444/x", "https://b/x", "http://a:443/x"] {
            #expect(!url.hasSameOrigin(as: try OutgoingURL(other)))
        }
    }

    @Test("The HTTP client takes each URL that is accepted, and reads the same from it")
    func agreement() throws {
        var random = SeededGenerator(seed: FuzzSettings.seed)
        let parts = [
            "http://", "https://", "h", "localhost", "[::1]", "[", "]", ":", "80", "65535", "65536", "/", "?", "#", "@",
            "%",
            "%41", "%zz", " ", "\n", "\0", "\\", "..", ".", "\u{E9}", "\u{301}", "\u{1F426}", "\u{37E}", "!$&'()*+,;=",
        ]
        for _ in 0..<(FuzzSettings.count ?? 20_000) {
            var text = "http://"
            for _ in 0..<Int.random(in: 0...8, using: &random) { text += parts.randomElement(using: &random) ?? "" }
            guard let url = try? OutgoingURL(text) else { continue }
            let request = try HTTPClient.Request(url: url.text)
            let host = url.host.contains(":") ? "[\(url.host)]" : url.host
            #expect(request.host == host, "\(text), seed \(FuzzSettings.seed)")
            #expect(request.port == url.port, "\(text), seed \(FuzzSettings.seed)")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletHTTP

@Suite struct HostAndPortTests {
    @Test(
        "A host is read with its port",
        arguments: [
            ("localhost", "localhost", nil), ("LocalHost:8080", "localhost", 8080), ("a.b-c_d~e:1", "a.b-c_d~e", 1),
            ("example.com.", "example.com.", nil), ("example.com:", "example.com", nil),
            ("127.0.0.1:0", "127.0.0.1", 0),
            ("a:65535", "a", 65_535), ("a:0080", "a", 80), ("[::1]", "::1", nil), ("[FE80::A]:443", "fe80::a", 443),
            ("[::ffff:127.0.0.1]:9", "::ffff:127.0.0.1", 9), ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de", nil),
        ] as [(String, String, Int?)])
    func hostIsRead(text: String, host: String, port: Int?) throws {
        let read = try #require(HostAndPort(text))
        #expect(read.host == host && read.port == port)
    }

    @Test(
        "Other texts are not a host",
        arguments: [
            "", ":", ":8080", ".", ".a", "a..b", "a b", " a", "a ", "a/b", "a?b", "a#b", "a\\b", "a@b", "user:pw@a",
            "a,b", "a;b", "a:b", "a:-1", "a:+1", "a:1:2", "a:65536", "a:99999999999999999999", "a:1a", "a:\u{661}",
            "::1",
            "[::1", "::1]", "[]", "[a]", "[::1]a", "[::1]:a", "[::1]:65536", "[1.2.3.4]", "[::1%25lo]", "[v1.a]",
            "a\u{0}", "a\t", "a\u{7F}", "münchen.de", "a\u{301}", "\u{212A}", "%61", "*.a", "a'", "(a)", "a=b", "a&b",
        ])
    func otherTexts(text: String) {
        #expect(HostAndPort(text) == nil)
    }
}

@Suite("Loopback addresses")
struct LoopbackTests {
    @Test(
        "localhost, 127.0.0.0/8 and ::1 are reached from this machine only",
        arguments: ["localhost", "LocalHost", "127.0.0.1", "127.0.0.0", "127.255.255.255", "::1", "::ffff:127.0.0.1"]
    )
    func loopback(host: String) {
        #expect(Loopback.contains(host))
    }

    @Test(
        "All others may be reached from elsewhere",
        arguments: [
            "", "0.0.0.0", "::", "126.255.255.255", "128.0.0.1", "0127.0.0.1", "127.0.0", "127.0.0.+1",
            "127.0.0.1\u{301}", "[::1]", "127.0.0.1.", "127.0.0.256",
            "127.0.0.1.example.org", "localhost.example.org", "::2", "::ffff:128.0.0.1", "192.168.0.1",
        ]
    )
    func others(host: String) {
        #expect(!Loopback.contains(host))
    }
}

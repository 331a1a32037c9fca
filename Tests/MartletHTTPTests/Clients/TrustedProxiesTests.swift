// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import Testing

@testable import MartletHTTP

@Suite("Trusted proxies")
struct TrustedProxiesTests {
    private static let places = ["10.0.0.0/8", "2001:db8::/32", "unix"]

    /// The address that counts; `nil`: none, or a Unix domain socket.
    private func client(
        _ fields: [(String, String)], behind peer: String? = "10.0.0.1", places: [String] = places
    ) throws -> String? {
        var headers = HTTPFields()
        for (name, value) in fields {
            headers.append(HTTPField(name: try #require(HTTPField.Name(name)), value: value))
        }
        let peer =
            try peer.map { try SocketAddress(ipAddress: $0, port: 1) } ?? SocketAddress(unixDomainSocketPath: "/a")
        return try TrustedProxies(places).client(of: headers, behind: peer)?.ipAddress
    }

    @Test(
        "The rightmost address that is not trusted counts",
        arguments: [
            ("203.0.113.7", "203.0.113.7"), ("1.1.1.1, 203.0.113.7", "203.0.113.7"),
            ("1.1.1.1,203.0.113.7,10.1.1.1 , 10.2.2.2", "203.0.113.7"), ("203.0.113.7:4711", "203.0.113.7"),
            ("2003::7", "2003::7"), ("[2003::7]", "2003::7"), ("[2003::7]:80", "2003::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"), ("rubbish, 203.0.113.7", "203.0.113.7"),
            ("\"a, 203.0.113.7", "203.0.113.7"), (",,203.0.113.7, ,", "203.0.113.7"),
        ])
    func plain(value: String, expected: String) throws {
        #expect(try client([("X-Forwarded-For", value)]) == expected)
        #expect(try client([("x-forwarded-for", value)], behind: nil) == expected)
        #expect(try client([("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-For", value)]) == expected)
        #expect(try client([("X-Forwarded-For", value), ("X-Forwarded-For", "10.9.9.9")]) == expected)
    }

    @Test("Where all addresses are those of proxies, the first of them has sent the request")
    func proxiesOnly() throws {
        #expect(try client([("X-Forwarded-For", "10.3.3.3, 10.1.1.1")]) == "10.3.3.3")
        #expect(try client([("Forwarded", "for=\"[2001:db8::5]\", for=10.1.1.1")]) == "2001:db8::5")
    }

    @Test(
        "In Forwarded, the parameter for of the rightmost element that is not trusted counts",
        arguments: [
            ("for=203.0.113.7", "203.0.113.7"), ("For=203.0.113.7;proto=https;by=10.0.0.1", "203.0.113.7"),
            ("for=1.1.1.1, for=\"203.0.113.7:80\", for=10.1.1.1", "203.0.113.7"),
            ("for=\"[2003::7]:4711\"", "2003::7"), ("for=\"[2003::7]\";host=\"a,b\"", "2003::7"),
            ("host=\"x, for=9.9.9.9\"; for=203.0.113.7", "203.0.113.7"),
            ("host=\"x\\\", for=9.9.9.9\";for=203.0.113.7", "203.0.113.7"),
            // What a client has written on the left disturbs nothing.
            ("for=\"9.9.9.9, for=203.0.113.7", "203.0.113.7"), ("\"\\, for=203.0.113.7", "203.0.113.7"),
            ("for=unknown, for=203.0.113.7", "203.0.113.7"),
            // Pairs may be empty.
            ("for=203.0.113.7;;", "203.0.113.7"), (";host=\"a;b\" ; for=203.0.113.7", "203.0.113.7"),
        ])
    func standard(value: String, expected: String) throws {
        #expect(try client([("Forwarded", value)]) == expected)
        #expect(try client([("Forwarded", "for=\""), ("Forwarded", value)]) == expected)
        #expect(try client([("Forwarded", value), ("X-Forwarded-For", expected)]) == expected)
    }

    @Test(
        "Where a trusted proxy names no address, its own counts",
        arguments: [
            ("X-Forwarded-For", ""), ("X-Forwarded-For", " , "), ("X-Forwarded-For", "unknown"),
            ("X-Forwarded-For", "203.0.113.7, rubbish"), ("X-Forwarded-For", "203.0.113.7, unknown, 10.1.1.1"),
            ("X-Forwarded-For", "203.0.113.7:"), ("X-Forwarded-For", "203.0.113.7:x"), ("X-Forwarded-For", "[2003::7"),
            ("X-Forwarded-For", "[2003::7]x"), ("X-Forwarded-For", "[203.0.113.7]"), ("X-Forwarded-For", "[]:1"),
            ("X-Forwarded-For", "\"203.0.113.7\""), ("X-Forwarded-For", "203.0.113.7;x"),
            ("X-Forwarded-For", "203.0.113.256"), ("X-Forwarded-For", "203.0.113.7\u{FFFD}"),
            ("Forwarded", ""), ("Forwarded", "203.0.113.7"), ("Forwarded", "for=unknown"), ("Forwarded", "for=_hidden"),
            ("Forwarded", "for=2003::7"), ("Forwarded", "for=[2003::7]"), ("Forwarded", "for=\"2003::7\""),
            ("Forwarded", "for=\"203.0.113.7"), ("Forwarded", "for="), ("Forwarded", "for"), ("Forwarded", "=1.1.1.1"),
            ("Forwarded", "proto=https"), ("Forwarded", "for=1.1.1.1;for=2.2.2.2"), ("Forwarded", ";"),
            ("Forwarded", "for=1.1.1.1 x"), ("Forwarded", "for=\"1.1.1.1\"x"), ("Forwarded", "for=1.1.1.1 proto=http"),
            ("Forwarded", "for =1.1.1.1"), ("Forwarded", "for=\"203.0.113.\\7\""),
        ])
    func malformed(name: String, value: String) throws {
        #expect(try client([(name, value)]) == "10.0.0.1")
        #expect(try client([(name, value)], behind: nil) == nil)
    }

    @Test("Two headers that name different clients name none")
    func contradiction() throws {
        #expect(
            try client([("Forwarded", "for=9.9.9.9"), ("X-Forwarded-For", "203.0.113.7")]) == "10.0.0.1")
        #expect(try client([("Forwarded", "for=x"), ("X-Forwarded-For", "203.0.113.7")]) == "10.0.0.1")
        #expect(try client([("Forwarded", "for=203.0.113.7"), ("X-Forwarded-For", "x")]) == "10.0.0.1")
    }

    @Test("What anyone else says of addresses changes nothing")
    func forged() throws {
        let fields = [("Forwarded", "for=9.9.9.9"), ("X-Forwarded-For", "9.9.9.9")]
        for peer in ["11.0.0.1", "127.0.0.1", "2001:db9::1"] { #expect(try client(fields, behind: peer) == peer) }
        #expect(try client(fields, behind: "10.0.0.1", places: []) == "10.0.0.1")
        #expect(try client(fields, behind: nil, places: ["10.0.0.0/8"]) == nil)
        #expect(try TrustedProxies(Self.places).client(of: [:], behind: nil) == nil)
    }

    @Test("The row of proxies has a bound")
    func hops() throws {
        func chain(_ count: Int) -> String {
            (["203.0.113.7"] + [String](repeating: "10.1.1.1", count: count)).joined(separator: ",")
        }
        #expect(try client([("X-Forwarded-For", chain(TrustedProxies.mostHops - 1))]) == "203.0.113.7")
        #expect(try client([("X-Forwarded-For", chain(TrustedProxies.mostHops))]) == "10.0.0.1")
        #expect(try client([("X-Forwarded-For", chain(10_000))]) == "10.0.0.1")
    }

    @Test(
        "A text that is no network is refused by name",
        arguments: ["", "10.0.0.1/8", "Unix", "unix:", "localhost", "*"])
    func noPlace(text: String) {
        let error = #expect(throws: TrustedProxies.PlaceError.self) { try TrustedProxies(["10.0.0.0/8", text]) }
        #expect(error?.place == text)
    }
}

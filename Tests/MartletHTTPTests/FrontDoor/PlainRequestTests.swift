// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPTypesHTTP1
import TestSupport
import Testing

@testable import MartletHTTP

/// What the parser of a front door says about some bytes; a value that outlives them.
private enum Reading: Hashable {
    case incomplete
    case other
    case complete(Parts, length: Int)

    struct Parts: Hashable {
        var method = "GET"
        var target = "/events/a"
        var authority = "localhost"
        /// Each as `name: value`, with the name in lower case.
        var fields: [String] = []
        var body: [UInt8] = []
        var closes = false
        var isHTTP10 = false
    }

    static let prefixes: [StaticString] = ["/events", "/.well-known/mercure"]

    init(_ bytes: some Collection<UInt8>) {
        self = Array(bytes).withUnsafeBytes { bytes in
            switch PlainRequest.read(bytes, prefixes: Self.prefixes) {
            case .incomplete: .incomplete
            case .other: .other
            case .complete(let request, let length):
                .complete(
                    Parts(
                        method: request.method.rawValue, target: request.target, authority: request.authority,
                        fields: request.headers.map { "\($0.name.canonicalName): \($0.value)" },
                        body: Array(request.body),
                        closes: request.closes, isHTTP10: request.isHTTP10),
                    length: length)
            }
        }
    }

    var isComplete: Bool { if case .complete = self { true } else { false } }
}

@Suite("The parser of a front door") struct PlainRequestTests {
    /// A request that is plain, what it says, and what may follow it.
    private struct Plain: CustomTestStringConvertible, Sendable {
        let text: String
        let parts: Reading.Parts

        init(_ text: String, _ change: (inout Reading.Parts) -> Void = { _ in }) {
            self.text = text
            var parts = Reading.Parts()
            change(&parts)
            self.parts = parts
        }

        var bytes: [UInt8] { Array(text.utf8) }
        var testDescription: String { text.prefix(120).debugDescription }
    }

    private static let host = "Host: localhost\r\n"
    private static let get = "GET /events/a HTTP/1.1\r\n" + host
    private static let post = "POST /events/a HTTP/1.1\r\n" + host

    private static let plain = [
        Plain(get + "\r\n"),
        Plain("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n") { $0.target = "/events" },
        Plain("GET /events/ HTTP/1.1\r\nHost: localhost\r\n\r\n") { $0.target = "/events/" },
        Plain("GET /events?topic=a%2Fb&x HTTP/1.1\r\nHost: localhost\r\n\r\n") { $0.target = "/events?topic=a%2Fb&x" },
        Plain("GET /events//a/../%zz?? HTTP/1.1\r\nHost: localhost\r\n\r\n") { $0.target = "/events//a/../%zz??" },
        Plain("GET /events/aZ09-._~/?:@!$&'()*+,;=%41 HTTP/1.1\r\nHost: localhost\r\n\r\n") {
            $0.target = "/events/aZ09-._~/?:@!$&'()*+,;=%41"
        },
        Plain("GET /.well-known/mercure?topic=* HTTP/1.1\r\nHost: [::1]:80\r\n\r\n") {
            $0.target = "/.well-known/mercure?topic=*"
            $0.authority = "[::1]:80"
        },
        Plain("GET /events/a HTTP/1.0\r\nHost: localhost\r\n\r\n") { ($0.closes, $0.isHTTP10) = (true, true) },
        Plain("GET /events/a HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n") {
            ($0.closes, $0.isHTTP10, $0.fields) = (true, true, ["connection: keep-alive"])
        },
        Plain(get + "Connection: close\r\n\r\n") { ($0.closes, $0.fields) = (true, ["connection: close"]) },
        Plain(get + "connection:CLOSE \r\n\r\n") { ($0.closes, $0.fields) = (true, ["connection: CLOSE"]) },
        Plain(get + "Connection: Keep-Alive\r\n\r\n") { $0.fields = ["connection: Keep-Alive"] },
        Plain("GET /events/a HTTP/1.1\r\nAccept: text/event-stream\r\nhOsT:example.com:8080\r\n\r\n") {
            ($0.authority, $0.fields) = ("example.com:8080", ["accept: text/event-stream"])
        },
        Plain(get + "X:   a  b: c,\"d\"  \r\nx:\r\nX:  \r\n!#$%&'*+-.^_`|~9: ~\r\n\r\n") {
            $0.fields = ["x: a  b: c,\"d\"", "x: ", "x: ", "!#$%&'*+-.^_`|~9: ~"]
        },
        Plain(
            get + "Last-Event-ID: k3v9x2ma-1\r\nCookie: a=b; c=d\r\nCookie: e=f\r\nAuthorization: Bearer a.b.c\r\n\r\n"
        ) {
            $0.fields = [
                "last-event-id: k3v9x2ma-1", "cookie: a=b; c=d", "cookie: e=f", "authorization: Bearer a.b.c",
            ]
        },
        // Names that only begin like those of the fields that the parser looks at, or are as long.
        Plain(get + "Hosts: a\r\nHos: b\r\nDate: c\r\nConnections: d\r\nExpects: e\r\nUpgrades: f\r\n\r\n") {
            $0.fields = ["hosts: a", "hos: b", "date: c", "connections: d", "expects: e", "upgrades: f"]
        },
        Plain(post + "Content-Length: 5\r\n\r\nhello") {
            ($0.method, $0.fields, $0.body) = ("POST", ["content-length: 5"], Array("hello".utf8))
        },
        Plain(post + "content-length: 0000005\r\nConnection: keep-alive\r\n\r\nhello") {
            ($0.method, $0.body) = ("POST", Array("hello".utf8))
            $0.fields = ["content-length: 0000005", "connection: keep-alive"]
        },
        Plain("POST /events/live=1?alive=1&lively&x=live&live%31 HTTP/1.1\r\n\(host)Content-Length: 1\r\n\r\na") {
            ($0.method, $0.target) = ("POST", "/events/live=1?alive=1&lively&x=live&live%31")
            ($0.fields, $0.body) = (["content-length: 1"], [0x61])
        },
        Plain(post + "Content-Length: 0\r\n\r\n") { ($0.method, $0.fields) = ("POST", ["content-length: 0"]) },
        Plain(post + "Content-Length: 9\r\n\r\n\0\r\n\r\n\u{E9}\t\n") {
            ($0.method, $0.fields) = ("POST", ["content-length: 9"])
            $0.body = [0, 0x0D, 0x0A, 0x0D, 0x0A, 0xC3, 0xA9, 0x09, 0x0A]
        },
    ]

    @Test("A request in the usual form is taken apart", arguments: plain)
    private func plainRequest(request: Plain) {
        let expected = Reading.complete(request.parts, length: request.bytes.count)
        #expect(Reading(request.bytes) == expected)
        // What follows is for later.
        for behind in ["G", "\r\n", "\0", "POST /events/b HTTP/1.1\r\n", request.text] {
            #expect(Reading(request.bytes + behind.utf8) == expected)
        }
    }

    @Test("Each beginning of a plain request is incomplete", arguments: plain)
    private func beginning(request: Plain) {
        for count in 0..<request.bytes.count {
            #expect(Reading(request.bytes.prefix(count)) == .incomplete, "\(count) bytes")
        }
    }

    private static func fields(_ count: Int) -> String { (0..<count).map { "X\($0): \($0)\r\n" }.joined() }

    private static let unusual: [String] =
        [
            // Other methods, and other ways to write them.
            "get /events/a HTTP/1.1\r\n", "Get /events/a HTTP/1.1\r\n", "HEAD /events/a HTTP/1.1\r\n",
            "OPTIONS /events/a HTTP/1.1\r\n", "DELETE /events/a HTTP/1.1\r\n", "PUT /events/a HTTP/1.1\r\n",
            "PATCH /events/a HTTP/1.1\r\n", "QUERY /events/a HTTP/1.1\r\n", "GETS /events/a HTTP/1.1\r\n",
            "POSTS /events/a HTTP/1.1\r\n", " GET /events/a HTTP/1.1\r\n", "\r\nGET /events/a HTTP/1.1\r\n",
            // Other targets, and targets in other forms.
            "GET / HTTP/1.1\r\n", "GET /health/live HTTP/1.1\r\n", "GET /eventsX HTTP/1.1\r\n",
            "GET /events%2Fa HTTP/1.1\r\n", "GET /events;a HTTP/1.1\r\n", "GET /event HTTP/1.1\r\n",
            "GET /Events/a HTTP/1.1\r\n", "GET //events/a HTTP/1.1\r\n", "GET /./events/a HTTP/1.1\r\n",
            "GET events/a HTTP/1.1\r\n", "GET http://localhost/events/a HTTP/1.1\r\n", "GET * HTTP/1.1\r\n",
            "GET /.well-known/mercury HTTP/1.1\r\n", "GET ?topic=a HTTP/1.1\r\n", "GET  HTTP/1.1\r\n",
            "GET /events/a#b HTTP/1.1\r\n", "GET /events#b HTTP/1.1\r\n", "GET /events/a b HTTP/1.1\r\n",
            "GET /events/\u{E9} HTTP/1.1\r\n", "GET /events/\0 HTTP/1.1\r\n", "GET /events/\u{7F} HTTP/1.1\r\n",
            "GET /events/\" HTTP/1.1\r\n", "GET /events/< HTTP/1.1\r\n", "GET /events/> HTTP/1.1\r\n",
            "GET /events/[ HTTP/1.1\r\n", "GET /events/] HTTP/1.1\r\n", "GET /events/{a} HTTP/1.1\r\n",
            "GET /events/| HTTP/1.1\r\n", "GET /events/\\ HTTP/1.1\r\n", "GET /events/^ HTTP/1.1\r\n",
            "GET /events/` HTTP/1.1\r\n", "GET /events/a\tHTTP/1.1\r\n",
            // Spaces and versions.
            "GET  /events/a HTTP/1.1\r\n", "GET\t/events/a HTTP/1.1\r\n", "GET /events/a  HTTP/1.1\r\n",
            "GET /events/a HTTP/1.1 \r\n", "GET /events/a HTTP/1.1\n", "GET /events/a HTTP/1.1\r\r\n",
            "GET /events/a\r\n", "GET /events/a HTTP/0.9\r\n", "GET /events/a HTTP/1.2\r\n",
            "GET /events/a HTTP/1.10\r\n", "GET /events/a HTTP/2.0\r\n", "GET /events/a http/1.1\r\n",
            "GET /events/a HTTP/1.x\r\n", "GET /events/a HTTP/11\r\n", "GET /events/a ICY/1.1\r\n",
        ].map { $0 + host + "\r\n" }
        + [
            // Fields.
            " folded\r\n", "\tfolded\r\n", "X: a\r\n b\r\n", "X: a\r\n\tb\r\n", "X: a\tb\r\n", "X:\ta\r\n",
            "X: a\t\r\n",
            "X: \u{E9}\r\n", "\u{E9}: a\r\n", "X: \0\r\n", "X: \u{7F}\r\n", "X: \u{1}\r\n", "X: a\n", "X: a\rb\r\n",
            "X : a\r\n", "X a: b\r\n", ": a\r\n", "X\r\n", "X\0: a\r\n", "(X): a\r\n", "\"X\": a\r\n", "X/Y: a\r\n",
            // What changes the meaning of the rest.
            "Transfer-Encoding: chunked\r\n", "transfer-encoding: identity\r\n", "Transfer-Encoding:\r\n",
            "Expect: 100-continue\r\n", "EXPECT: x\r\n", "Upgrade: h2c\r\n", "upgrade:\r\n",
            "Proxy-Connection: keep-alive\r\n", "proxy-connection: close\r\n", "Connection: Upgrade\r\n",
            "Connection:\r\n", "Connection: close, keep-alive\r\n", "Connection: close,\r\n", "Connection: closed\r\n",
            "Connection: TE\r\n", "Connection: \"close\"\r\n", "Connection: keep-alive\r\nConnection: keep-alive\r\n",
            "Connection: close\r\nConnection: keep-alive\r\n", "Host: localhost\r\n", "HOST: example.com\r\n",
            // A body, of whatever length.
            "Content-Length: 5\r\n", "Content-Length: 0\r\n", "content-length: x\r\n",
            fields(65),
        ].map { get + $0 + "\r\n" }
        + [
            "", "Host:\r\n", "Host: \r\n", "Host: a b\r\n", "Host: user@a\r\n", "Host: a/b\r\n", "Host: a:b\r\n",
            "Host: a:99999\r\n", "Host: a, b\r\n", "Host: .a\r\n", "Host: [::1\r\n", "Host: http://a\r\n",
            "Host: a%41\r\n", "Host: localhost\r\nHost: localhost\r\n", "Host: localhost\r\nhost: example.com\r\n",
        ].flatMap { ["GET /events/a HTTP/1.1\r\n\($0)\r\n", "GET /events/a HTTP/1.0\r\n\($0)\r\n"] }
        + [
            "", "Content-Length:\r\n", "Content-Length: +5\r\n", "Content-Length: -5\r\n", "Content-Length: 5, 5\r\n",
            "Content-Length: 5,5\r\n", "Content-Length: 5 5\r\n", "Content-Length: 0x5\r\n", "Content-Length: 5.0\r\n",
            "Content-Length: \"5\"\r\n", "Content-Length: a\r\n", "Content-Length: 5;\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\ncontent-length: 6\r\n",
            "Content-Length: 1048577\r\n", "Content-Length: 9999999\r\n", "Content-Length: 00000005\r\n",
            "Content-Length: 99999999999999999999\r\n", "Content-Length: \u{665}\r\n",
            "Content-Length: 5\r\nConnection: close\r\n", "Content-Length: 5\r\nExpect: 100-continue\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nHost: localhost\r\n", "Content-Length: 5\r\n" + fields(64),
        ].map { post + $0 + "\r\nhello" }
        + [
            "POST /events/a HTTP/1.0\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
            // Live uploads.
            "POST /events/a?live HTTP/1.1\r\n", "POST /events/a?live=1 HTTP/1.1\r\n",
            "POST /events?x&live&y HTTP/1.1\r\n",
            "POST /events/a?ttl=1s&live=1&close=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
            "POST /eventsX HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
            "post /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
            "POST /events/a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\0\u{1}", "\0", "\r", "\r\n\r\n", "\n", " ",
            "\u{E9}", "HTTP/1.1 200 OK\r\n\r\n", "GET\r\n\r\n", "POST\r\n\r\n", "GE\0", "PO\n",
        ]

    @Test("Everything unusual is left to the server, and no beginning of it is taken for a request", arguments: unusual)
    func unusualRequest(text: String) {
        let bytes = Array(text.utf8)
        #expect(Reading(bytes) == .other)
        var isOther = false
        for count in 0..<bytes.count {
            let reading = Reading(bytes.prefix(count))
            #expect(!reading.isComplete, "\(count) bytes")
            // More bytes make nothing plain that was not.
            #expect(!isOther || reading == .other, "\(count) bytes")
            isOther = reading == .other
        }
    }

    @Test(
        "Each byte that the standard does not allow is left to the server, wherever it is",
        arguments: UInt8.min ... .max)
    func bytes(byte: UInt8) {
        func reading(_ before: String, _ after: String) -> Reading { Reading(Array(before.utf8) + [byte] + after.utf8) }
        let rest = " HTTP/1.1\r\nHost: localhost\r\n\r\n"
        let isLetter = Unicode.Scalar(byte).properties.isAlphabetic && byte < 0x80
        let isDigit = (0x30...0x39).contains(byte)
        let mayBeInTarget = isLetter || isDigit || "-._~/?:@!$&'()*+,;=%".utf8.contains(byte)
        #expect(reading("GET /events/x", "x" + rest).isComplete == mayBeInTarget)
        let mayBeInName = isLetter || isDigit || "!#$%&'*+-.^_`|~".utf8.contains(byte)
        // A colon ends the name, and the rest is its value.
        #expect(reading(Self.get + "x", "x: a\r\n\r\n").isComplete == (mayBeInName || byte == UInt8(ascii: ":")))
        #expect(reading(Self.get + "X: x", "x\r\n\r\n").isComplete == (0x20...0x7E).contains(byte))
        #expect(reading(Self.post + "Content-Length: ", "\r\n\r\nhello, world").isComplete == isDigit)
        #expect(reading(Self.post + "Content-Length: 3\r\n\r\na", "b").isComplete)
    }

    @Test("A head has at most 16 KiB and 64 fields besides Host")
    func largeHeads() {
        #expect(Reading((Self.get + Self.fields(64) + "\r\n").utf8).isComplete)
        #expect(Reading((Self.post + "Content-Length: 0\r\n" + Self.fields(63) + "\r\n").utf8).isComplete)
        func head(_ count: Int) -> [UInt8] {
            let text = Self.get + "X: \r\n\r\n"
            return Array((Self.get + "X: " + String(repeating: "x", count: count - text.utf8.count) + "\r\n\r\n").utf8)
        }
        let largest = head(PlainRequest.headBytes)
        #expect(largest.count == 16 * 1024)
        #expect(Reading(largest).isComplete)
        #expect(Reading(largest.dropLast()) == .incomplete)
        #expect(Reading(head(PlainRequest.headBytes + 1)) == .other)
        let endless = Array(("GET /events/" + String(repeating: "a", count: 20_000)).utf8)
        #expect(Reading(endless.prefix(PlainRequest.headBytes - 1)) == .incomplete)
        #expect(Reading(endless.prefix(PlainRequest.headBytes)) == .other)
        #expect(Reading(endless) == .other)
    }

    @Test("A body has at most 1 MiB, and is awaited to its last byte")
    func largeBodies() {
        let largest = 1 << 20
        let head = Array((Self.post + "Content-Length: \(largest)\r\n\r\n").utf8)
        let request = head + [UInt8](repeating: 0xFF, count: largest)
        for count in [head.count, head.count + 1, PlainRequest.headBytes, 100_000, request.count - 1] {
            #expect(Reading(request.prefix(count)) == .incomplete)
        }
        guard case .complete(let parts, let length) = Reading(request + [0]) else {
            Issue.record("The request is not complete.")
            return
        }
        #expect(length == request.count)
        #expect(parts.body == [UInt8](repeating: 0xFF, count: largest))
    }

    @Test("A target is plain only below the prefixes that are given")
    func prefixes() {
        func isComplete(_ prefixes: [StaticString]) -> Bool {
            Array((Self.get + "\r\n").utf8).withUnsafeBytes { bytes in
                if case .complete = PlainRequest.read(bytes, prefixes: prefixes) { true } else { false }
            }
        }
        #expect(isComplete(["/events"]))
        #expect(isComplete(["/x", "/events/a"]))
        #expect(isComplete(["/events/a/b", "/events"]))
        #expect(!isComplete([]))
        #expect(!isComplete(["/event"]))
        #expect(!isComplete(["/events/a/b"]))
        #expect(!isComplete(["/events/"]))
    }
}

// MARK: - Against the parser of the server

extension PlainRequestTests {
    private static let corpus =
        plain.map(\.text) + [
            get + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", get + "X: a\r\n b\r\n\r\n",
            post + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
            post + "Content-Length: 5\r\n\r\nhello" + get + "\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ]

    private static let pieces = [
        "\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":", ",", ";", "=", "&", "?", "/", "//", "%", "%00", "%2F", "*", "#",
        "@", "[", "]", "{", "}", "\"", "\0", "\u{7F}", "\u{E9}", "\u{1F426}", "HTTP/1.1", "HTTP/1.0", "HTTP/1.1\r\n",
        " HTTP/1.1\r\nHost: a\r\n\r\n", "GET ", "POST ", "HEAD ", "Host: localhost\r\n", "Host: \r\n", "Host: a b\r\n",
        "Content-Length: 5\r\n", "Content-Length: 0\r\n", "Content-Length: 5, 5\r\n", "Content-Length: -1\r\n",
        "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n", "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "Connection: close\r\n", "Connection: keep-alive\r\n", "Proxy-Connection: upgrade\r\n", "X:", "X: ",
        "X:  a  \r\n",
        "X\r\n", "Last-Event-ID: 1\r\n", "/events", "/events/", "/events/a", "/.well-known/mercure?topic=",
        "GET /events/a HTTP/1.1\r\nHost: localhost\r\n", "POST /events/a HTTP/1.1\r\nHost: localhost\r\n", "hello",
        "X: " + String(repeating: "x", count: 9000) + "\r\n",
    ]

    @Test("Any bytes are read, and what is plain means the same to the server")
    func anyBytes() async {
        var input = FuzzInput(pieces: Self.pieces)
        var complete = 0
        while await input.next(from: Self.corpus) {
            let whole = Reading(input.bytes)
            let part = Reading(input.bytes.prefix(input.choose(Array(0...input.bytes.count))))
            switch (part, whole) {
            case (.incomplete, _), (.other, .other): break
            case (.complete, .complete) where part == whole: break
            default: return input.fail("the reading changes with more bytes, from \(part) to \(whole)")
            }
            guard case .complete(let parts, let length) = whole else { continue }
            complete += 1
            do {
                let other = try Self.serverReading(input.bytes.prefix(length))
                if other != parts { return input.fail("the server reads \(other), and the door \(parts)") }
            } catch {
                return input.fail("the server refuses what is plain (\(error))")
            }
        }
        #expect(complete > input.number / 100)
    }

    @Test("The server reads a plain request the same", arguments: plain)
    private func sameReading(request: Plain) throws {
        #expect(try Self.serverReading(request.bytes[...]) == request.parts)
    }

    private struct Unread: Error {
        let what: String
    }

    /// What the decoder and the checks of the server make of the bytes of one request.
    private static func serverReading(_ bytes: ArraySlice<UInt8>) throws -> Reading.Parts {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(RequestDecoder()))
        defer { _ = try? channel.finish() }
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        guard case .head(var head)? = try channel.readInbound(as: HTTPServerRequestPart.self) else {
            throw Unread(what: "There is no head.")
        }
        var body: [UInt8] = []
        var isAtEnd = false
        while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
            guard !isAtEnd else { throw Unread(what: "There is more than one request.") }
            switch part {
            case .head: throw Unread(what: "There are two heads.")
            case .body(let bytes): body += bytes.readableBytesView
            case .end(let trailers):
                guard trailers == nil else { throw Unread(what: "There are trailers.") }
                isAtEnd = true
            }
        }
        guard isAtEnd else { throw Unread(what: "The request does not end.") }
        try head.checkMethod()
        try head.checkSize()
        let uri = head.uri
        try head.settleTarget()
        try head.checkTransferCoding()
        try head.checkExpectation()
        guard head.uri == uri, head.upgradeOffer == .none, !head.waitsToBeAsked else {
            throw Unread(what: "The request is more than plain.")
        }
        let request = try HTTPRequest(head, secure: false, splitCookie: false)
        return Reading.Parts(
            method: request.method.rawValue, target: request.path ?? "", authority: request.authority ?? "",
            fields: request.headerFields.map { "\($0.name.canonicalName): \($0.value)" }, body: body,
            closes: head.isLast,
            isHTTP10: head.isHTTP10)
    }
}

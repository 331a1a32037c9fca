// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Martlet
import MartletHTTP
import MartletOutgoing
import MartletTesting
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

@testable import MartletAuth

@Suite struct ForwardAccessTests {
    private func access(
        _ server: FakeServer, origins: [String] = [], logger: Logger = quiet,
        _ configure: (inout ForwardLimits) -> Void = { _ in }
    ) throws -> ForwardAccess {
        var limits = ForwardLimits()
        configure(&limits)
        return try ForwardAccess(
            url: server.url + "authorize?hub=1", publishOrigins: origins.compactMap { OriginPattern($0) },
            limits: limits, logger: logger)
    }

    @Test("The application hears who asks for what, without tokens in the URL")
    func applicationHearsWhoAsks() async throws {
        try await FakeServer.run { server in
            server.answer(.ok, [:], "{}")
            let request = request(
                .post, "/events/a%2Fb?topic=c&authorization=secret&x=1&ticket=t",
                [
                    (.authorization, "Bearer abc"), (.cookie, "a=1; b=2"), (.origin, "https://app.example"),
                    (HTTPField.Name("X-Forwarded-For")!, "192.0.2.1"), (.accept, "text/event-stream"),
                ])
            _ = try await self.access(server).grant(for: request, to: .publish)
            let asked = try #require(server.requests.first)
            func field(_ name: String) -> String? { asked.headerFields[HTTPField.Name(name)!] }
            #expect(asked.method == .get)
            #expect(asked.path == "/authorize?hub=1")
            #expect(field("Authorization") == "Bearer abc")
            #expect(field("Cookie") == nil, "the header wins")
            #expect(field("X-Martlet-Purpose") == "publish")
            #expect(field("X-Forwarded-Method") == "POST")
            #expect(field("X-Forwarded-Uri") == "/events/a%2Fb?topic=c&x=1")
            #expect(field("X-Forwarded-For") == "192.0.2.1, 127.0.0.1")
            #expect(field("Accept") == "application/json")
            #expect(field("Origin") == nil)

            let cookies = MartletAuthTests.request(.get, "/events/a", [(.cookie, "a=1; b=2")])
            _ = try await self.access(server).grant(for: cookies, to: .subscribe)
            #expect(server.requests.last?.headerFields[.cookie] == "a=1; b=2")
        }
    }

    @Test(
        "Only a bearer token shows that a page wanted to publish, whatever comes along",
        arguments: ["x", "Basic YTpi", "bearer x"])
    func onlyABearerTokenShows(authorization: String)
        async throws
    {
        try await FakeServer.run { server in
            server.answer(.ok, [:], "{}")
            let headers: [(HTTPField.Name, String)] = [
                (.authorization, authorization), (.cookie, "session=1"), (.origin, "https://other.example"),
            ]
            let request = request(.post, "/events/a", headers)
            let access = try self.access(server, origins: ["https://app.example"])
            let grant = try? await access.grant(for: request, to: .publish)
            #expect((grant != nil) == (authorization == "bearer x"))
        }
    }

    @Test("Cached answers about a principal can be dropped")
    func whatWasRemembered() async throws {
        try await FakeServer.run { server in
            server.answer(.ok, [.cacheControl: "max-age=60"], #"{"principal":"alice"}"#)
            let access = try self.access(server)
            for _ in 0..<2 { _ = try await access.grant(for: request(), to: .subscribe) }
            #expect(server.requests.count == 1)
            access.forget("bob")
            _ = try await access.grant(for: request(), to: .subscribe)
            #expect(server.requests.count == 1)
            access.forget("alice")
            _ = try await access.grant(for: request(), to: .subscribe)
            #expect(server.requests.count == 2)
        }
    }

    @Test("200 grants what the answer says")
    func n200GrantsWhatTheAnswer() async throws {
        try await FakeServer.run { server in
            let access = try self.access(server)
            server.answer(
                .ok, [:],
                """
                {"principal":"alice","subscribe":["users/alice","o/{id}"],"publish":["*"],"public":true,
                 "expires":"2099-01-02T03:04:05.5+01:00","payload":{"b":1.50,"a":"x"},"more":1}
                """)
            let grant = try await access.grant(for: request(), to: .subscribe)
            #expect(
                grant
                    == Grant(
                        principal: "alice", subscribe: [TopicSelector("users/alice"), TopicSelector("o/{id}")],
                        seesAllPublic: true, publish: [.every], end: Date(timeIntervalSince1970: 4_071_002_645.5),
                        payload: #"{"a":"x","b":1.50}"#))
            server.answer(.ok, [:], #"{"expires":4071002645,"principal":null}"#)
            #expect(
                try await access.grant(for: request(), to: .subscribe)
                    == Grant(end: Date(timeIntervalSince1970: 4_071_002_645)))
        }
    }

    @Test(
        "401 and 403 refuse with the application's reason", arguments: [HTTPResponse.Status.unauthorized, .forbidden])
    func n401And403Refuse(status: HTTPResponse.Status) async throws {
        try await FakeServer.run { server in
            let access = try self.access(server) { $0.maximumDetail = 10 }
            func refusal() async throws -> Problem? {
                try await problem { try await access.grant(for: request(), to: .subscribe) }
            }
            server.answer(
                status, [.contentType: "application/problem+json", .wwwAuthenticate: "Session"],
                #"{"detail":"Log in first, please."}"#)
            let refused = try await refusal()
            #expect(refused?.status == status)
            #expect(refused?.detail == "Log in fir")
            // Ten bytes, the last of which would be half of a letter; and one character of a thousand scalars.
            let marks = String(repeating: "\u{301}", count: 1000)
            for (detail, cut) in [("Log in, \u{E9}\u{E9}", "Log in, \u{E9}"), ("12345678\u{20AC}", "12345678")] {
                server.answer(status, [.contentType: "application/problem+json"], #"{"detail":"\#(detail)"}"#)
                #expect(try await refusal()?.detail == cut)
            }
            server.answer(status, [.contentType: "Application/Problem+JSON"], #"{"detail":"e\#(marks)"}"#)
            #expect(try await refusal()?.detail.utf8.count == 9)
            #expect(refused?.headers[.wwwAuthenticate] == (status == .unauthorized ? "Session" : nil))
            server.answer(status, [.contentType: "text/html"], "<script>")
            #expect(try await refusal()?.detail == "The application refused this.")
            #expect(try await refusal()?.headers[.wwwAuthenticate] == (status == .unauthorized ? "Bearer" : nil))
        }
    }

    @Test(
        "Any other answer is 503, and the log says why",
        arguments: [
            (.ok, ""), (.ok, "garbage"), (.ok, "[]"), (.ok, #"{"subscribe":"*"}"#), (.ok, #"{"public":1}"#),
            (.ok, #"{"principal":7}"#), (.ok, #"{"expires":"soon"}"#), (.ok, #"{"expires":"2099-02-30T00:00:00Z"}"#),
            (.ok, #"{"expires":3600}"#),
            (.ok, #"{"expires":"2020-01-01T00:00:00Z"}"#), (.ok, #"{"publish":[7]}"#), (.internalServerError, "{}"),
            (.notFound, "{}"), (.found, "{}"), (.created, "{}"), (.tooManyRequests, "{}"),
            (.ok, #"{"principal":"\#(String(repeating: "a", count: 70_000))"}"#),
        ] as [(HTTPResponse.Status, String)])
    func anyOtherAnswerIs503(status: HTTPResponse.Status, body: String) async throws {
        try await FakeServer.run { server in
            let log = RecordingLog()
            let access = try self.access(server, logger: log.logger)
            server.answer(status, [.cacheControl: "max-age=60", .location: "/elsewhere"], body)
            let secret = request(.get, "/", [(.authorization, "Bearer sesame"), (.cookie, "sesame=1")])
            for count in 1...2 {
                let problem = try await problem {
                    try await access.grant(for: secret, to: .subscribe)
                }
                #expect(problem?.status == .serviceUnavailable)
                #expect(problem?.headers[.retryAfter] == "1")
                #expect(log.lines.count == count)
            }
            #expect(!log.lines.joined().contains("sesame"))
            #expect(server.requests.count == 2)
            #expect(log.lines.first?.hasPrefix("warning") == true)
        }
    }

    @Test("An application that is away or slow is 503")
    func applicationThatIsAway() async throws {
        let away = try ForwardAccess(url: "http://127.0.0.1:1/", logger: quiet)
        let refused = try await problem { try await away.grant(for: request(), to: .subscribe) }
        #expect(refused?.status == .serviceUnavailable)
        try await FakeServer.run { server in
            let (stream, end) = AsyncStream.makeStream(of: Void.self)
            server.answer { _ in
                for await _ in stream {}
                return Response(status: .ok)
            }
            let access = try self.access(server) { $0.timeout = .milliseconds(50) }
            let slow = try await TestConnection.withPatience {
                try await problem { try await access.grant(for: request(), to: .subscribe) }
            }
            #expect(slow?.status == .serviceUnavailable)
            end.finish()
        }
    }

    @Test(
        "An answer is remembered as it says",
        arguments: [
            // Cache-Control, Vary, whether the same is asked again for: the same, another URI, another address
            ("max-age=60", nil, false, false, false), ("private, max-age=60", "Cookie", false, false, false),
            (nil, nil, true, true, true), ("max-age=0", nil, true, true, true),
            ("max-age=60, no-store", nil, true, true, true),
            ("no-cache, max-age=60", nil, true, true, true), ("max-age=x", nil, true, true, true),
            ("max-age=-1", nil, true, true, true), ("max-age=+60", nil, true, true, true),
            ("max-age=99999999999999999999", nil, false, false, false), ("max-age = 60", nil, false, false, false),
            ("max-age=\u{661}", nil, true, true, true), ("max-age", nil, true, true, true),
            ("max-age=60", "*", true, true, true),
            ("max-age=60", "X-Forwarded-Uri", false, true, false),
            ("max-age=60", "Cookie, x-forwarded-for", false, false, true),
            ("Max-Age=\"60\"", "X-Forwarded-For, X-Forwarded-Uri", false, true, true),
        ] as [(String?, String?, Bool, Bool, Bool)])
    func answerIsRemembered(
        cacheControl: String?, vary: String?, same: Bool, otherURI: Bool, otherAddress: Bool
    ) async throws {
        for status in [HTTPResponse.Status.ok, .forbidden] {
            try await FakeServer.run { server in
                var headers: HTTPFields = [:]
                headers[.cacheControl] = cacheControl
                headers[.vary] = vary
                server.answer(status, headers, "{}")
                let access = try self.access(server)
                func isAsked(
                    _ target: String, _ address: String, _ token: String, to purpose: AccessPurpose = .subscribe
                ) async throws -> Bool {
                    let before = server.requests.count
                    let request = request(.get, target, [(.authorization, token)], address: "192.0.2.\(address)")
                    _ = try await problem { try await access.grant(for: request, to: purpose) }
                    return server.requests.count > before
                }
                #expect(try await isAsked("/a", "1", "x"))
                #expect(try await isAsked("/a", "1", "x") == same)
                #expect(try await isAsked("/b", "1", "x") == otherURI)
                #expect(try await isAsked("/a", "2", "x") == otherAddress)
                #expect(try await isAsked("/a", "1", "x", to: .publish))
                #expect(try await isAsked("/a", "1", "y"))
            }
        }
    }

    @Test("A remembered grant does not outlive its end, nor the bound")
    func rememberedGrantDoesNotOutlive() throws {
        func age(_ body: String) throws -> Duration {
            let answer = OutgoingRequest.Answer(
                status: 200, headers: ["cache-control": "max-age=4294967295"], body: Array(body.utf8))
            return try ForwardAnswer(answer, limits: ForwardLimits(), now: testTime).age
        }
        #expect(try age("{}") == ForwardLimits().maximumAge)
        #expect(try age(#"{"expires":1767323055}"#) == .seconds(10))
        #expect(try age(#"{"expires":1e300}"#) == ForwardLimits().maximumAge)
    }

    @Test("Credentials in one header are not those in another")
    func credentialsInOneHeader() {
        func key(_ authorization: [String], _ cookies: [String], purpose: String = "subscribe") -> ForwardKey {
            ForwardKey(purpose: purpose, authorization: authorization, cookies: cookies, uri: "/", address: "a")
        }
        let keys = [
            key([], []), key(["a"], []), key([], ["a"]), key(["a", "b"], []), key(["a"], ["b"]), key([], ["a", "b"]),
            key(["ab"], []), key(["b", "a"], []), key(["cookie", "x"], []), key([], ["x", "cookie"]),
            key(["x"], ["cookie"]),
            key(["authorization", "x"], []), key([""], []), key(["", ""], []), key([], [""]), key(["1 a"], []),
            key(["a1 b"], []), key(["0 1 1 a"], []), key([], [], purpose: "publish"), key(["\u{E9}"], []),
            key(["e\u{301}"], []),
        ]
        #expect(Set(keys).count == keys.count)
    }

    @Test("The application is asked again for the same texts in another header")
    func applicationIsAskedAgain() async throws {
        try await FakeServer.run { server in
            server.answer(.ok, [.cacheControl: "max-age=60"], "{}")
            let access = try self.access(server)
            for headers in [
                [(HTTPField.Name.cookie, "x"), (.cookie, "cookie")],
                [(.authorization, "cookie"), (.authorization, "x")],
            ] {
                _ = try await access.grant(for: request(.get, "/", headers), to: .subscribe)
            }
            #expect(server.requests.count == 2)
        }
    }

    @Test("Only what was remembered of exactly this principal is forgotten")
    func onlyWhatWasRemembered() async throws {
        try await FakeServer.run { server in
            server.answer(.ok, [.cacheControl: "max-age=60"], #"{"principal":"\u00e9"}"#)
            let access = try self.access(server)
            _ = try await access.grant(for: request(), to: .subscribe)
            access.forget("e\u{301}")
            _ = try await access.grant(for: request(), to: .subscribe)
            #expect(server.requests.count == 1)
            access.forget("\u{E9}")
            _ = try await access.grant(for: request(), to: .subscribe)
            #expect(server.requests.count == 2)
        }
    }

    @Test("A status that HTTP does not have is no answer", arguments: ["099", "000", "101", "1000", "-1", "20"])
    func statusThatHTTP(status: String) async throws {
        try await RawServer.run(answering: "HTTP/1.1 \(status) x\r\nContent-Length: 2\r\n\r\n{}") { port in
            let url = "http://127.0.0.1:\(port)/"
            let access = try ForwardAccess(url: url, logger: quiet)
            let refused = try await problem { try await access.grant(for: request(), to: .subscribe) }
            #expect(refused?.status == .serviceUnavailable)
            let keys = try TokenKeys(jwks: url, logger: quiet)
            await #expect(throws: KeysUnavailable.self) { try await keys.load() }
        }
    }

    @Test("Those who ask the same at the same time ask once")
    func thoseWhoAskTheSame() async throws {
        try await FakeServer.run { server in
            let (stream, go) = AsyncStream.makeStream(of: Void.self)
            server.answer { _ in
                for await _ in stream { break }
                return Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: #"{"principal":"alice"}"#)))
            }
            let access = try self.access(server)
            try await withThrowingTaskGroup(of: String?.self) { tasks in
                for _ in 0..<20 {
                    tasks.addTask {
                        try await access.grant(for: request(), to: .subscribe).principal
                    }
                }
                try await until { !server.requests.isEmpty }
                go.finish()
                for try await principal in tasks { #expect(principal == "alice") }
            }
            // Who comes after the answer asks again, since it is not to be remembered.
            #expect(server.requests.count < 20)
        }
    }

    @Test("No more questions are open than are allowed")
    func noMoreQuestionsAreOpen() async throws {
        try await FakeServer.run { server in
            let (stream, go) = AsyncStream.makeStream(of: Void.self)
            server.answer { _ in
                for await _ in stream { break }
                return Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: "{}")))
            }
            let access = try self.access(server) { $0.maximumQuestions = 2 }
            func ask(_ target: String) async throws -> Problem? {
                try await problem { try await access.grant(for: request(.get, target), to: .subscribe) }
            }
            async let one = ask("/1")
            async let two = ask("/2")
            try await until { server.requests.count >= 2 }
            #expect(try await ask("/3")?.status == .serviceUnavailable)
            go.finish()
            #expect(try await one == nil)
            #expect(try await two == nil)
            #expect(try await ask("/3") == nil)
        }
    }

    @Test(
        "With a cookie only pages that are allowed may publish",
        arguments: [nil, "https://evil.example", "https://app.example"])
    func withACookieOnlyPages(origin: String?) async throws {
        try await FakeServer.run { server in
            server.answer(.ok, [:], "{}")
            let access = try self.access(server, origins: ["https://app.example"])
            var headers = [(HTTPField.Name.cookie, "session=1")]
            if let origin { headers.append((.origin, origin)) }
            let asked = request(.post, "/", headers)
            let refused = try await problem { try await access.grant(for: asked, to: .publish) }
            #expect((refused == nil) == (origin == "https://app.example"))
            #expect(refused == nil || refused?.status == .unauthorized && refused?.field == "Origin")
            #expect(server.requests.count == (refused == nil ? 1 : 0))
            _ = try await access.grant(for: request(.get, "/", headers), to: .subscribe)
            let header = request(.post, "/", headers + [(.authorization, "Bearer x")])
            _ = try await access.grant(for: header, to: .publish)
        }
    }

    @Test(
        "The URL to ask is one",
        arguments: [
            "", "app.example", "ftp://app.example/", "http://", "http://user:pw@app.example/",
            "http://app.example:65536/",
            "http://app.example:0/", "http://app.example:/ a", "https://app.example/\u{E9}", "http:///authorize",
        ])
    func urlToAskIsOne(url: String) {
        #expect(throws: PolicyError.self) { try ForwardAccess(url: url, logger: quiet) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletTesting
import NIOCore
import TestSupport
import Testing

@testable import MartletHTTP

/// The principal that a test names in a header.
private struct NamedByHeader: ImmediateAuthenticator, ImmediatePolicy {
    func principalNow(of request: HubRequest, to purpose: AccessPurpose) throws -> PrincipalNow<String> {
        .known(request.headers[HTTPField.Name("X-Who")!])
    }

    func principal(of request: HubRequest, to purpose: AccessPurpose) async throws -> String? {
        request.headers[HTTPField.Name("X-Who")!]
    }

    func grant(to principal: String?, for purpose: AccessPurpose) throws -> Grant {
        Grant(principal: principal, seesAllPublic: true, publish: [.every])
    }
}

extension ClientLimits {
    static func with(_ configure: (inout ClientLimits) -> Void) -> ClientLimits {
        var limits = ClientLimits()
        configure(&limits)
        return limits
    }
}

/// With shards, the front door answers; without, the server does.
@Suite("Limits of clients over HTTP")
struct ClientLimitTests {
    /// - Parameter trusted: Whether requests name their address in `X-Forwarded-For`.
    static func run(
        shards: Int, trusted: Bool = true, _ limits: ClientLimits,
        _ body: @Sendable @escaping (TestServer) async throws -> Void
    ) async throws {
        let hub = quickHub {
            $0.shards = shards
            $0.clients = limits
        }
        let access = Access<BasicEventStreamRequestContext>(NamedByHeader(), NamedByHeader())
        try await TestServer.run(
            hub: hub, proxies: trusted ? TrustedProxies(["127.0.0.1"]) : .none, access: access
        ) { server in
            try await body(server)
            // Whatever a client had open is given back.
            try await until { server.hub.clients.count(now: .now + .seconds(10_000_000)) == 0 }
        }
    }

    private static func open(
        _ server: TestServer, _ path: String = "/events/a", as who: String? = nil, from address: String? = nil
    ) async throws -> TestEventSource {
        var headers = ["Connection": "close"]
        headers["X-Who"] = who
        headers["X-Forwarded-For"] = address
        return try await TestEventSource(port: server.port, path: path, headers: headers)
    }

    /// Expects that a stream only says when to come back.
    private static func expectSentAway(
        _ source: TestEventSource, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(source.status == 200, sourceLocation: sourceLocation)
        #expect(source.head.contains("text/event-stream"), sourceLocation: sourceLocation)
        #expect(try await source.next() == nil, sourceLocation: sourceLocation)
        let body = String(decoding: source.body, as: UTF8.self)
        #expect(body.contains("retry: ") && !body.contains("id: "), sourceLocation: sourceLocation)
        try await source.connection.close()
    }

    private static func isOpen(_ source: TestEventSource, _ server: TestServer) async throws -> Bool {
        guard case .retry? = try await source.nextElement() else { return false }
        return try await source.nextID() != nil
    }

    // MARK: Streams

    @Test(
        "A principal has as many streams as it may, on both routes, and the next is told to come back",
        arguments: [0, 2])
    func streamsOfPrincipal(shards: Int) async throws {
        try await Self.run(shards: shards, .with { $0.streamsPerPrincipal = 2 }) { server in
            let first = try await Self.open(server, as: "alice", from: "192.0.2.1")
            let second = try await Self.open(server, "/events?topic=b", as: "alice", from: "192.0.2.2")
            try await server.until { $0.streamCount == 2 }
            try await Self.expectSentAway(try await Self.open(server, as: "alice", from: "192.0.2.3"))
            // Others have their own.
            let other = try await Self.open(server, as: "bob", from: "192.0.2.1")
            let anonymous = try await Self.open(server, from: "192.0.2.1")
            try await server.until { $0.streamCount == 4 }
            // The head of a stream is none.
            let head = try await server.request("HEAD", "/events/a", headers: ["X-Who": "alice"])
            #expect(head.status == 200)
            // An open stream is never the one that goes.
            try await server.hub.publish("still", to: "a")
            #expect(try await first.next()?.data == "still")
            try await second.connection.close()
            try await server.until { $0.streamCount == 3 }
            let third = try await Self.open(server, as: "alice", from: "192.0.2.1")
            try await server.until { $0.streamCount == 4 }
            for source in [first, third, other, anonymous] { try await source.connection.close() }
        }
    }

    @Test("An address has as many streams as it may, and a /64 is one address", arguments: [0, 2])
    func streamsOfAddress(shards: Int) async throws {
        try await Self.run(shards: shards, .with { $0.streamsPerAddress = 1 }) { server in
            let first = try await Self.open(server, as: "alice", from: "2001:db8::1")
            try await server.until { $0.streamCount == 1 }
            try await Self.expectSentAway(try await Self.open(server, as: "bob", from: "2001:db8::2"))
            let other = try await Self.open(server, as: "alice", from: "2001:db8:0:1::1")
            try await server.until { $0.streamCount == 2 }
            for source in [first, other] { try await source.connection.close() }
        }
    }

    @Test("A forged address changes nothing", arguments: [0, 2])
    func forged(shards: Int) async throws {
        try await Self.run(shards: shards, trusted: false, .with { $0.streamsPerAddress = 1 }) { server in
            let first = try await Self.open(server, from: "192.0.2.1")
            try await server.until { $0.streamCount == 1 }
            try await Self.expectSentAway(try await Self.open(server, from: "192.0.2.2"))
            try await first.connection.close()
        }
    }

    @Test("A request that waits for history counts as a stream, and above the limit it gets 429", arguments: [0, 2])
    func waiting(shards: Int) async throws {
        try await Self.run(shards: shards, .with { $0.streamsPerPrincipal = 1 }) { server in
            let first = try await Self.open(server, as: "alice")
            try await server.until { $0.streamCount == 1 }
            let headers = ["X-Who": "alice"]
            let refused = try await server.request("GET", "/history/a?wait=30s", headers: headers)
            #expect(refused.status == 429)
            #expect(refused.body.contains(#""limit":"max-streams-per-principal""#))
            #expect(refused.header("retry-after") == "5")
            #expect(try await server.request("GET", "/history/a", headers: headers).status == 200)
            try await first.connection.close()
        }
    }

    /// How a client leaves.
    enum Leaving: CaseIterable {
        case close, reset, revocation, age, drain
    }

    @Test("However a stream ends, its place is free again", arguments: [0, 2], Leaving.allCases)
    func leaving(shards: Int, leaving: Leaving) async throws {
        let hub = quickHub {
            $0.shards = shards
            $0.clients.streamsPerPrincipal = 3
            $0.clients.streamsPerAddress = 3
            $0.clients.connectionsPerAddress = 10
            if leaving == .age { $0.maximumConnectionAge = .milliseconds(100) }
        }
        let access = Access<BasicEventStreamRequestContext>(NamedByHeader(), NamedByHeader())
        try await TestServer.run(hub: hub, access: access) { server in
            for _ in 0..<3 {
                var sources: [TestEventSource] = []
                for _ in 0..<3 { sources.append(try await Self.open(server, as: "alice")) }
                switch leaving {
                case .close: for source in sources { try await source.connection.close() }
                case .reset: for source in sources { try await source.connection.reset() }
                case .revocation: hub.revoke("alice")
                case .age: break
                case .drain: hub.beginDrain()
                }
                if leaving != .close, leaving != .reset {
                    for source in sources {
                        while try await source.nextElement() != nil {}
                        try await source.connection.close()
                    }
                }
                try await until { hub.streamCount == 0 && hub.clients.count() == 0 }
                if leaving == .drain { break }
            }
        }
        #expect(hub.clients.count() == 0)
    }

    // MARK: Connections

    @Test("An address has as many connections as it may, and the next is answered and closed", arguments: [0, 2])
    func connections(shards: Int) async throws {
        try await Self.run(shards: shards, trusted: false, .with { $0.connectionsPerAddress = 3 }) { server in
            // A stream, a connection with requests, and one without.
            let stream = try await Self.open(server)
            let busy = try await TestConnection(port: server.port)
            try await busy.send("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await busy.receive() != nil)
            let silent = try await TestConnection(port: server.port)
            // The server accepts it before those that come later.
            try await until { try await server.request("GET", "/health/live").status == 429 }
            try await Self.expectSentAway(try await Self.open(server))
            let refused = try await server.exchange(
                "POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
                    + "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(statuses(refused) == [429])
            #expect(refused.contains("Retry-After: 5\r\n"))
            #expect(refused.contains(#""limit":"max-connections-per-address""#))
            try await silent.close()
            try await until { try await server.request("GET", "/health/live").status == 200 }
            try await stream.connection.close()
            try await busy.close()
        }
    }

    @Test("The connections of a trusted proxy are not counted", arguments: [0, 2])
    func connectionsOfProxy(shards: Int) async throws {
        try await Self.run(shards: shards, .with { $0.connectionsPerAddress = 1 }) { server in
            let first = try await Self.open(server, from: "192.0.2.1")
            let second = try await Self.open(server, from: "192.0.2.1")
            try await server.until { $0.streamCount == 2 }
            for source in [first, second] { try await source.connection.close() }
        }
    }

    // MARK: Publishing

    @Test("Above its rate a client gets 429, and nothing of the request is published", arguments: [0, 2])
    func publishing(shards: Int) async throws {
        let rate = ClientRate(perSecond: 1, burst: 3)
        try await Self.run(shards: shards, .with { $0.publishRatePerPrincipal = rate }) { server in
            func post(_ who: String, _ path: String = "/events/a", _ body: String = "x") async throws -> TestResponse {
                let type = path == "/events" ? "application/x-ndjson" : "text/plain"
                return try await server.request(
                    "POST", path, headers: ["X-Who": who, "Content-Type": type], body: body)
            }
            // More than the bucket can have again before the end.
            let line = #"{"topic":"a","data":"batch"}"# + "\n"
            #expect(try await post("alice", "/events", String(repeating: line, count: 900)).status == 200)
            let refused = try await post("alice")
            #expect(refused.status == 429)
            #expect(refused.header("content-type") == "application/problem+json")
            #expect(refused.body.contains(#""limit":"publish-rate-per-principal""#))
            let wait = try #require(refused.header("retry-after").flatMap { Int($0) })
            #expect((1...898).contains(wait))
            #expect(try await post("alice", "/events", line).status == 429)
            #expect(try await post("alice", "/events/a?close=1", "").status == 429)
            let removal = try await server.request("DELETE", "/history/a", headers: ["X-Who": "alice"])
            #expect(removal.status == 429)
            // A request that is refused for another reason says so.
            #expect(try await post("alice", "/events/a?retry=x").status == 400)
            for _ in 0..<3 { #expect(try await post("bob", "/events/b").status == 200) }
            let history = try await server.request("GET", "/history/a?limit=1000&after=earliest")
            #expect(history.body.split(separator: "\n").count == 900)
        }
    }

    @Test("The bytes of an address have a rate, too", arguments: [0, 2])
    func bytes(shards: Int) async throws {
        let rate = ClientRate(perSecond: 1, burst: 1001)
        try await Self.run(shards: shards, .with { $0.publishBytesPerAddress = rate }) { server in
            func post(_ address: String, _ count: Int) async throws -> Int {
                try await server.request(
                    "POST", "/events/a", headers: ["X-Forwarded-For": address],
                    body: String(repeating: "x", count: count)
                ).status
            }
            // At its edge: the topic has one byte. A second gives one byte back.
            let first = [500, 999, 499, 499]
            var statuses: [Int] = []
            for count in first { statuses.append(try await post("192.0.2.1", count)) }
            #expect(statuses == [200, 429, 200, 429])
            #expect(try await post("192.0.2.2", 1000) == 200)
            // A full bucket takes what is larger than a burst.
            #expect(try await post("192.0.2.3", 5000) == 200)
            #expect(try await post("192.0.2.3", 1) == 429)
        }
    }

    @Test("A live upload above its rate is slowed down, and published as a whole and in order", arguments: [0, 2])
    func live(shards: Int) async throws {
        let rate = ClientRate(perSecond: 100, burst: 2)
        try await Self.run(shards: shards, .with { $0.publishRatePerAddress = rate }) { server in
            let lines = (0..<20).map { "\($0)\n" }.joined()
            let answer = try await server.request(
                "POST", "/events/a?live=1", headers: ["Content-Type": "application/x-ndjson"], body: lines)
            #expect(answer.status == 200)
            #expect(answer.body.contains(#""count":20"#))
            let history = try await server.request("GET", "/history/a?after=earliest")
            let data = history.body.split(separator: "\n").compactMap { line in
                line.split(separator: #""data":""#).dropFirst().first?.prefix { $0 != "\"" }
            }
            #expect(data.map(String.init) == (0..<20).map { "\($0)" })
        }
    }

    @Test("A live upload that is slowed down delays no shutdown", arguments: [0, 2])
    func liveShutdown(shards: Int) async throws {
        let rate = ClientRate(perSecond: 1, burst: 1)
        try await Self.run(shards: shards, .with { $0.publishBytesPerAddress = rate }) { server in
            let connection = try await TestConnection(port: server.port)
            let lines = (0..<10).map { "\($0)\(String(repeating: "x", count: 10_000))\n" }.joined()
            try await connection.send(
                "POST /events/a?live=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                    + "Content-Length: \(lines.utf8.count + 5)\r\n\r\n\(lines)")
            try await until {
                try await server.hub.log.read(nil, after: .earliest, through: server.hub.end, limit: SliceLimit())
                    .records.count > 0
            }
            await server.shutDown()
            let answer = try await connection.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 503"))
            try await connection.close()
        }
    }
}

#if os(Linux)
extension ClientLimitTests {
    @Test("A front door and the router refuse clients in the same way")
    func bothWays() async throws {
        let line = #"{"topic":"a","data":"x"}"# + "\n"
        let batch = "Content-Type: application/x-ndjson\r\n"
        let exchanges: [WayExchange] =
            [.post("/events", batch, String(repeating: line, count: 5000))]
            + ["/events/a", "/events/a?close=1", "/events/a?retry=x", "/events/%FF", "/events/a?id=%0A"].map {
                .post($0)
            }
            + [
                .post("/events", batch, line), .post("/events/a", "Idempotency-Key: one\r\n"),
                .post("/events/a", "Idempotency-Key: \"\r\n"), .post("/events/a", "X-Forwarded-For: 9.9.9.9\r\n"),
                .post("/events/a", "Connection: close\r\n"),
                WayExchange((0..<3).flatMap { WayExchange.post("/events/a", "", "\($0)").bytes }),
                WayExchange(WayExchange.post("/events/a").bytes + WayExchange.get("/events/a").bytes),
                .get("/events/a"), .get("/events/a?topic=b"), .get("/events/a", version: "1.0"), .get("/events"),
                .get("/events/a", "X-Forwarded-For: 9.9.9.9\r\n"), .get("/events/a?since=x"),
                WayExchange("HEAD /events/a HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            ]
        func hub() -> Hub {
            BothWays.hub {
                $0.clients.streamsPerAddress = 1
                $0.clients.publishRatePerAddress = ClientRate(perSecond: 1, burst: 1)
            }
        }
        let prepare = { @Sendable (side: WaySide) in
            try await BothWays.publishHistory(side)
            _ = try await TestEventSource(port: side.port, path: "/events/held")
            try await until { side.hub.streamCount == 1 }
        }
        try await BothWays.compare(exchanges, least: 5, hub: hub, prepare: prepare)
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import Martlet
import MartletTesting
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

@testable import MartletHTTP

/// Counts the requests that reach the router of a server: those that a front door does not answer.
final class RouterWitness: RouterMiddleware {
    typealias Context = BasicEventStreamRequestContext

    private let seen = Atomic(0)

    var count: Int { seen.load(ordering: .sequentiallyConsistent) }

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        seen.add(1, ordering: .sequentiallyConsistent)
        return try await next(request, context)
    }

    /// Returns once the front door of a server answers, and nothing is left of the attempts.
    func waitForDoor(of hub: Hub, port: Int) async throws {
        try await until {
            let before = count
            let source = try await TestEventSource(port: port, path: "/events/warm")
            try await source.connection.close()
            return count == before
        }
        try await until { hub.streamCount == 0 && hub.feedCount == 0 && hub.socketCount == 0 }
    }
}

/// A server that answers in one of the two ways.
struct WaySide: Sendable {
    let port: Int
    let hub: Hub
    let witness: RouterWitness
    /// Runs the server for as long as a closure runs.
    typealias Runner =
        @Sendable (Hub, RouterWitness, @escaping @Sendable (WaySide) async throws -> Int) async throws -> Int
}

/// What a client sends on one connection.
struct WayExchange: CustomTestStringConvertible, Sendable {
    /// In the bytes `EPOCH000` stands for the epoch of the log.
    let bytes: [UInt8]
    /// Not `nil`: a stream begins, which receives what is published to this topic.
    let topic: Topic?

    init(_ text: String, streaming topic: Topic? = nil) { self.init(Array(text.utf8), streaming: topic) }

    init(_ bytes: [UInt8], streaming topic: Topic? = nil) {
        self.bytes = bytes
        self.topic = topic
    }

    static func get(_ target: String, _ fields: String = "", version: String = "1.1", streaming: Topic? = nil) -> Self {
        Self("GET \(target) HTTP/\(version)\r\nHost: localhost\r\n\(fields)\r\n", streaming: streaming)
    }

    static func post(_ target: String, _ fields: String = "", _ body: String = "hello") -> Self {
        post(target, fields, Array(body.utf8))
    }

    static func post(_ target: String, _ fields: String, _ body: [UInt8]) -> Self {
        Self(
            Array("POST \(target) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.count)\r\n\(fields)\r\n".utf8)
                + body)
    }

    var testDescription: String { String(decoding: bytes.prefix(400), as: UTF8.self).debugDescription }
}

/// Two servers with hubs of the same history; one of them has a front door.
struct BothWays: Sendable {
    private let sides: [WaySide]
    /// The number of streams that are open between the exchanges.
    private let streamCount: Int

    private static let placeholder = "EPOCH000"

    /// Sends the same to both, one exchange after the other, and compares what comes back and what has happened. After a
    /// difference it goes on with new servers.
    ///
    /// - Parameters:
    ///   - least: How many requests the front door has to answer at least.
    ///   - prepare: Called for each server, before the first exchange.
    static func compare(
        _ exchanges: [WayExchange], least: Int = 0, hub: () -> Hub = { BothWays.hub() },
        door: @escaping WaySide.Runner = { try await BothWays.run($0, $1, hasFrontDoor: true, $2) },
        router: @escaping WaySide.Runner = { try await BothWays.run($0, $1, hasFrontDoor: false, $2) },
        prepare: @escaping @Sendable (WaySide) async throws -> Void = { try await BothWays.publishHistory($0) },
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        var (rest, answered) = (exchanges[...], 0)
        while !rest.isEmpty {
            let (remaining, hubs) = (rest, (hub(), hub()))
            let (doorWitness, routerWitness) = (RouterWitness(), RouterWitness())
            let count = try await door(hubs.0, doorWitness) { door in
                try await router(hubs.1, routerWitness) { router in
                    try await doorWitness.waitForDoor(of: door.hub, port: door.port)
                    for side in [door, router] { try await prepare(side) }
                    let pair = BothWays(sides: [door, router], streamCount: door.hub.streamCount)
                    for (index, exchange) in remaining.enumerated() {
                        if try await !pair.isSame(exchange, number: index, sourceLocation) { return index + 1 }
                    }
                    return remaining.count
                }
            }
            answered += routerWitness.count - doorWitness.count
            rest = rest.dropFirst(count)
        }
        #expect(answered >= least, "The door answers too few requests.", sourceLocation: sourceLocation)
    }

    /// A hub whose answers depend on nothing but the requests.
    static func hub(log: any Log = MemoryLog(), _ configure: (inout HubConfiguration) -> Void = { _ in }) -> Hub {
        var configuration = HubConfiguration()
        configuration.grace = .zero
        configuration.retry = .zero ... .zero
        configuration.heartbeat = .seconds(3600)
        configuration.shards = 2
        configure(&configuration)
        return Hub(log: log, configuration: configuration, logger: quiet)
    }

    static func run(
        _ hub: Hub, _ witness: RouterWitness, hasFrontDoor: Bool,
        access: Access<BasicEventStreamRequestContext> = .local, maximumConnections: Int = .max,
        _ body: @escaping @Sendable (WaySide) async throws -> Int
    ) async throws -> Int {
        try await TestServer.run(
            hub: hub, maximumConnections: maximumConnections, access: access, hasFrontDoor: hasFrontDoor,
            adding: { router in _ = router.add(middleware: witness) },
            { server in try await body(WaySide(port: server.port, hub: hub, witness: witness)) })
    }

    /// Gives a log a few events.
    static func publishHistory(_ side: WaySide) async throws {
        for number in 0..<4 {
            let ids = try await side.hub.publish(contentsOf: [
                Event(topic: "a", data: "\(number)", id: number == 1 ? "own-1" : nil, type: number == 2 ? "t" : nil),
                Event(topic: "b", data: "\(number)\nb", isPrivate: number == 3),
            ])
            // A stream that begins now is to begin behind them.
            _ = try await side.hub.end(covering: Position(ids[1]))
        }
    }

    /// Returns whether both ways gave the same, and records an issue if not.
    private func isSame(
        _ exchange: WayExchange, number: Int, _ sourceLocation: SourceLocation
    ) async throws -> Bool {
        var results: [(answer: String, effect: [String])] = []
        for side in sides {
            do {
                let answer = try await Self.answer(to: exchange, number: number, side)
                try await until { side.hub.streamCount == streamCount }
                results.append((answer, try await Self.effect(side)))
            } catch {
                Issue.record("\(exchange.testDescription) failed: \(error)", sourceLocation: sourceLocation)
                return false
            }
        }
        #expect(
            results[0].answer == results[1].answer, "\(exchange.testDescription) has another answer at the door",
            sourceLocation: sourceLocation)
        #expect(
            results[0].effect == results[1].effect, "\(exchange.testDescription) has another effect at the door",
            sourceLocation: sourceLocation)
        return results[0] == results[1]
    }

    /// Sends the bytes and reads what is answered, without what differs each time.
    private static func answer(to exchange: WayExchange, number: Int, _ side: WaySide) async throws -> String {
        let epoch = epoch(of: side.hub)
        let text = String(decoding: exchange.bytes, as: UTF8.self)
        let hasPlaceholder = !epoch.isEmpty && text.contains(placeholder)
        let connection = try await TestConnection(port: side.port)
        // A server that refuses the first bytes may not take the rest.
        try? await connection.send(
            hasPlaceholder ? Array(text.replacing(placeholder, with: epoch).utf8) : exchange.bytes)
        let answer: String
        if let topic = exchange.topic {
            answer = try await stream(connection, until: "last \(number)", topic, side.hub)
        } else {
            try? await connection.finishSending()
            answer = try await connection.receiveAll()
        }
        try await connection.close()
        let lines = answer.components(separatedBy: "\r\n").map { line in
            // Of a long wait, each second makes a difference.
            let isLong = line.hasPrefix("Retry-After: ") && line.count > "Retry-After: 999".count
            return line.hasPrefix("Date: ") ? "Date: now" : isLong ? "Retry-After: long" : line
        }
        let normalized = lines.joined(separator: "\r\n")
        return epoch.isEmpty ? normalized : normalized.replacing(epoch, with: placeholder)
    }

    /// The answers before a stream, its head, and its body up to an event that is published after its head has come.
    private static func stream(
        _ connection: TestConnection, until last: String, _ topic: Topic, _ hub: Hub
    ) async throws -> String {
        var bytes: [UInt8] = []
        func receive() async throws {
            guard let more = try await connection.receive() else {
                throw TestConnection.Missing(text: "a stream", found: String(decoding: bytes, as: UTF8.self))
            }
            bytes += more
        }
        var headEnd: Int?
        while headEnd == nil {
            try await receive()
            guard let type = bytes.firstRange(of: "text/event-stream\r\n".utf8) else { continue }
            headEnd = bytes[type.upperBound...].firstRange(of: "\r\n\r\n".utf8)?.upperBound
        }
        try await hub.publish(last, to: topic)
        let head = String(decoding: bytes[..<(headEnd ?? 0)], as: UTF8.self)
        while true {
            var decoder = ChunkedDecoder(isChunked: head.contains("transfer-encoding: chunked"))
            let body = String(decoding: try decoder.decode(Array(bytes[(headEnd ?? 0)...])), as: UTF8.self)
            if body.hasSuffix("data: \(last)\n\n") { return head + body }
            try await receive()
        }
    }

    /// The last events in history. Each has its position and all its fields.
    private static func effect(_ side: WaySide) async throws -> [String] {
        let epoch = epoch(of: side.hub)
        guard !epoch.isEmpty else { return [] }
        let end = try Position(try await side.hub.publish("the end", to: "end"))
        var records: [Record] = []
        var start = Position.earliest
        while true {
            let slice = try await side.hub.log.read(nil, after: start, through: end, limit: SliceLimit())
            records += slice.records
            start = slice.end
            if slice.isComplete { break }
        }
        return records.suffix(32).map { record in
            let data = record.event.data
            var event = record.event
            event.data = "\(data.utf8.count) bytes: \(data.prefix(64))"
            return "\(record.position.text.replacing(epoch, with: placeholder)) \(event)"
        }
    }

    /// Empty if the log has none.
    private static func epoch(of hub: Hub) -> String { Epoch.parts(of: hub.end.text)?.epoch.text ?? "" }
}

@Suite("A front door and the router") struct BothWaysTests {
    private static func raw(_ text: String, streaming topic: Topic? = nil) -> WayExchange {
        WayExchange(text, streaming: topic)
    }

    private static let health = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"

    private static let streams: [WayExchange] =
        [
            "/events/a", "/events/%61", "/events?topic=a", "/events/a?topic=b", "/events/a?topic=b&topic=c%2Fd",
            "/events/b?topic=a&topic=a", "/events/b?topic=%61", "/events/a?topic=*", "/events/a?unknown=1",
            "/events/a?", "/events/a?topic=b;c", "/events/a?=", "/events/a?&&", "/events/a?stream=s",
            "/events/a?stream=a+b%20c",
            "/events/a?lastEventID=earliest", "/events/a?last_event_id=earliest", "/events/a?Last-Event-ID=earliest",
            "/events/a?lastEventID=", "/events/a?lastEventID=own-1", "/events/a?lastEventID=EPOCH000-2",
            "/events/a?lastEventID=EPOCH000-3&topic=b", "/events/a?lastEventID=EPOCH000-999",
            "/events/a?lastEventID=EPOCH000-02", "/events/a?lastEventID=nonsense", "/events/a?lastEventID=aaaaaaaa-7",
            "/events/a?lastEventID=own-1&lastEventID=earliest", "/events/a?last_event_id=own-1&lastEventID=earliest",
            "/events/a?since=1h", "/events/a?since=0s", "/events/a?since=2020-01-01T00:00:00Z",
            "/events/a?since=2999-01-01T00:00:00Z", "/events/a?since=1h&lastEventID=own-1", "/events/a?since=99999d",
            "/events/a?authorization=x", "/events/a?type=t", "/events/a?topic=/.well-known/mercure",
        ].map { .get($0, streaming: "a") }
        + [
            "Last-Event-ID: earliest\r\n", "last-event-id: own-1\r\n", "Last-Event-ID:\r\n",
            "Last-Event-ID: EPOCH000-4\r\n",
            "Last-Event-ID: nonsense\r\n", "Last-Event-ID: own-1\r\nLast-Event-ID: earliest\r\n",
            "Connection: close\r\n",
            "Connection: keep-alive\r\n", "Connection: KEEP-ALIVE\r\n", "Cookie: a=b\r\n",
            "Cookie: a=b\r\nCookie: c=d\r\n",
            "Authorization: Bearer a.b.c\r\n", "Origin: http://localhost\r\n", "Origin: https://example.com\r\n",
            "Accept: text/event-stream\r\n", "Accept: application/json\r\n", "X-Forwarded-For: 192.0.2.1\r\n",
            "Cache-Control: no-cache\r\n", "Accept-Encoding: gzip\r\n", "Content-Length: 0\r\n",
            "Expect: 100-continue\r\n",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Transfer-Encoding: chunked\r\n", "X: \u{E9}\r\n", "X: a\tb\r\n",
            "Event-Retry: x\r\n", "Idempotency-Key: \"\r\n", (0..<65).map { "X\($0): \($0)\r\n" }.joined(),
        ].map { .get("/events/a?last_event_id=EPOCH000-5", $0, streaming: "a") }
        + ["", "Connection: keep-alive\r\n", "Last-Event-ID: earliest\r\n", "Last-Event-ID: nonsense\r\n"]
        .map { .get("/events/a", $0, version: "1.0", streaming: "a") }
        + [
            .get("/events//a", streaming: "/a"), .get("/events/a/", streaming: "a/"),
            .get("/events/a%2Fb", streaming: "a/b"),
            .get("/events/a+b", streaming: "a+b"), .get("/events/..", streaming: ".."),
            .get("/events/./a", streaming: "./a"),
            .get("/events/%C3%BC", streaming: "\u{FC}"), .get("/events/%2525", streaming: "%25"),
            .get("/events/aZ0-._~:@!$&'()*+,;=", streaming: "aZ0-._~:@!$&'()*+,;="),
            .get("/events/a%3Fb", streaming: "a?b"),
            .get("/events/*", streaming: "*"), .get("/events/api/events/stream", streaming: "api/events/stream"),
            .get("/events/" + String(repeating: "a", count: 1024), streaming: Topic.long),
            .get("/events/a?" + (0..<900).map { "topic=\($0)" }.joined(separator: "&"), streaming: "a"),
            raw("GET /events/a HTTP/1.0\r\n\r\n", streaming: "a"),
            raw("GET /events/a HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", streaming: "a"),
            raw("GET /events/a HTTP/1.1\r\nhost:127.0.0.1 \r\n\r\n", streaming: "a"),
            raw("GET /events/a HTTP/1.1\r\nHost: container:1\r\n\r\n", streaming: "a"),
            raw("GET http://localhost/events/a HTTP/1.1\r\nHost: example.com\r\n\r\n", streaming: "a"),
            raw("\r\nGET /events/a HTTP/1.1\r\nHost: localhost\r\n\r\n", streaming: "a"),
            raw("GET /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", streaming: "a"),
            // What comes behind a stream is not answered.
            raw("GET /events/a HTTP/1.1\r\nHost: localhost\r\n\r\n" + health + health, streaming: "a"),
            raw("GET /events/a HTTP/1.1\r\nHost: localhost\r\n\r\n\0\0\r\n\r\nnonsense", streaming: "a"),
            WayExchange(
                WayExchange.get("/events/a").bytes + WayExchange.post("/events/a", "", "never").bytes, streaming: "a"),
        ]

    private static let refusedStreams: [WayExchange] =
        [
            "/events", "/events/", "/events?", "/events/%00", "/events/%0A", "/events/a%zz", "/events/%", "/events/%ff",
            "/events/a?topic=", "/events/a?topic=%", "/events/a?topic=%ff", "/events/a?%zz=1", "/events/a?since=x",
            "/events/a?since=", "/events/a?since=5", "/events/a?since=-1s", "/events/a?since=99999999999999999999d",
            "/events/a?stream=", "/events/a?stream=" + String(repeating: "s", count: 129), "/events/a?lastEventID=%zz",
            "/events/a?ticket=none", "/events/a?ticket=", "/events/" + String(repeating: "a", count: 1025),
            "/events/a?" + (0..<1001).map { "topic=\($0)" }.joined(separator: "&"),
            "/events/a?" + String(repeating: "a", count: 200_000), "/eventsX", "/events%2Fa", "//events/a", "/Events/a",
            "/nowhere", "/health/live", "/health/ready", "/health", "/.well-known/mercure?topic=a", "/events/a#b",
            "/events/\u{E9}",
            "/events/a b", "*",
        ].map { .get($0) }
        + [
            "Host: example.com\r\n", "Host: example.com:80\r\n", "Host: 192.0.2.1\r\n", "Host: LOCALHOST.example\r\n",
            "",
            "Host:\r\n", "Host: a b\r\n", "Host: localhost\r\nHost: localhost\r\n", "Host: user@localhost\r\n",
            "Host: localhost\r\n folded\r\n", "Host : localhost\r\n", "Host: localhost\r\nX\r\n",
            "Host: localhost\r\n\u{E9}: a\r\n",
            "Host: localhost\r\nTransfer-Encoding: gzip\r\n", "Host: localhost\r\nExpect: x\r\n",
            "Host: localhost\r\nX: " + String(repeating: "x", count: 100_000) + "\r\n",
            "Host: localhost\r\n" + (0..<300).map { "X\($0): \($0)\r\n" }.joined(),
        ].map { raw("GET /events/a HTTP/1.1\r\n\($0)\r\n") }
        + [
            "GET /events/a HTTP/1.2", "GET /events/a HTTP/2.0", "GET /events/a http/1.1", "GET /events/a",
            "get /events/a HTTP/1.1",
            "GET  /events/a HTTP/1.1", "GET /events/a HTTP/1.1 ", "HEAD /events/a HTTP/1.1", "HEAD /events HTTP/1.1",
            "HEAD /events/a?lastEventID=nonsense HTTP/1.1", "HEAD /events/a HTTP/1.0", "OPTIONS /events/a HTTP/1.1",
            "OPTIONS * HTTP/1.1", "DELETE /events/a HTTP/1.1", "PUT /events/a HTTP/1.1", "PROPFIND /events/a HTTP/1.1",
            "BREW /events/a HTTP/1.1", "CONNECT localhost:80 HTTP/1.1", "TRACE /events/a HTTP/1.1", "PRI * HTTP/2.0",
        ].map { raw("\($0)\r\nHost: localhost\r\n\r\n") }
        + [
            "", "G", "GET /events/a", "GET /events/a HTTP/1.1\r\nHost: localhost\r\n",
            "GET /events/a HTTP/1.1\nHost: localhost\n\n",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}", "\0\0\0\0\r\n\r\n", "\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ].map { raw($0) }

    private static let publishes: [WayExchange] =
        [
            "/events/a", "/events/%61", "/events/a//b", "/events//a", "/events/a%2Fb", "/events/%C3%BC", "/events/*",
            "/events/a?type=t", "/events/a?type=t&id=own-2&key=k&retry=5", "/events/a?type=a+b%20c",
            "/events/a?private",
            "/events/a?private=true", "/events/a?private=1", "/events/a?private=false", "/events/a?private=0",
            "/events/a?",
            "/events/a?private=yes", "/events/a?retry=0", "/events/a?retry=86400000", "/events/a?retry=86400001",
            "/events/a?retry=x", "/events/a?retry=-1", "/events/a?retry=", "/events/a?retry=99999999999999999999",
            "/events/a?retry=%2B5", "/events/a?unknown=1", "/events/a?topic=b", "/events/a?Type=t",
            "/events/a?type=%0A",
            "/events/a?type=", "/events/a?type=" + String(repeating: "t", count: 257), "/events/a?id=",
            "/events/a?id=%00",
            "/events/a?id=earliest", "/events/a?id=" + String(repeating: "i", count: 1025), "/events/a?id=EPOCH000-1",
            "/events/a?key=" + String(repeating: "k", count: 1025), "/events/a?type=%zz", "/events/a?%zz",
            "/events/a?type=%ff",
            "/events/a?id=1&id=2", "/events/a?type=%F0%9F%90%A6", "/events", "/events?type=t", "/events/",
            "/events/%00",
            "/events/%ff", "/events/a%zz", "/events/" + String(repeating: "a", count: 1025),
            "/events/" + String(repeating: "a", count: 1024), "/events/.well-known/mercure",
            "/events//.well-known/mercure/x",
            "/events/%252Ewell-known%252Fmercure", "/eventsX", "/nowhere", "/health/live", "/events/a?ticket=x",
            "/events/a?authorization=x",
        ].map { .post($0) }
        + [
            "Event-Type: t\r\n",
            "event-type: t\r\nEvent-Id: own-3\r\nEVENT-KEY: k\r\nEvent-Retry: 7\r\nEvent-Private: true\r\n",
            "Event-Retry: x\r\n", "Event-Retry: -1\r\n", "Event-Private: maybe\r\n", "Event-Private:\r\n",
            "Event-Type:\r\n",
            "Event-Id: earliest\r\n", "Event-Type: a\r\nEvent-Type: b\r\n", "Event-Id: a, b\r\n",
            "Event-Unknown: 1\r\n",
            "Idempotency-Key: one\r\n", "Idempotency-Key: one\r\n", "idempotency-key: \"one\"\r\n",
            "Idempotency-Key: \"t\\\"wo\"\r\n",
            "Idempotency-Key: \"\r\n", "Idempotency-Key: \"a\"b\r\n", "Idempotency-Key: a\r\nIdempotency-Key: a\r\n",
            "Idempotency-Key:\r\n", "Idempotency-Key: \(String(repeating: "k", count: 255))\r\n",
            "Idempotency-Key: \(String(repeating: "k", count: 256))\r\n", "Origin: http://localhost\r\n",
            "Origin: http://LOCALHOST\r\n", "Origin: http://localhost:80\r\n", "Origin: https://localhost\r\n",
            "Origin: null\r\n",
            "Origin: https://example.com\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "Forwarded: for=127.0.0.1\r\n",
            "Via: 1.1 a\r\n",
            "X-Real-IP: 127.0.0.1\r\n", "Cookie: a=b\r\n", "Authorization: Bearer a.b.c\r\n",
            "Connection: keep-alive\r\n",
            "Connection: close\r\n", "Connection: close, keep-alive\r\n", "Connection: TE\r\n", "Expect: x\r\n",
            "Content-Type: application/json\r\n", "Content-Type: application/x-ndjson\r\n", "Content-Length: 5\r\n",
            "Content-Length: 6\r\n", "Transfer-Encoding: chunked\r\n", "Host: localhost\r\n", "X: \u{E9}\r\n",
            "X: a\tb\r\n",
            "X: a\r\n b\r\n", (0..<65).map { "X\($0): \($0)\r\n" }.joined(), "Upgrade: h2c\r\nConnection: Upgrade\r\n",
        ].map { .post("/events/a", $0) }
        + [
            .post("/events/a?type=query&id=own-4", "Event-Type: header\r\nEvent-Id: own-5\r\n"),
            // The key was used with other data.
            .post("/events/a", "Idempotency-Key: one\r\n", "other"), .post("/events/b", "Idempotency-Key: one\r\n"),
            .post("/events/a", "", ""), .post("/events/a", "", "\n"), .post("/events/a", "", "a\r\nb\rc\nd\n\n"),
            .post("/events/a", "", "\0"), .post("/events/a", "", "\u{FEFF}\u{E9}\u{1F426}"),
            .post("/events/a", "", [0xFF]), .post("/events/a", "", [0xC3]),
            .post("/events/a", "", [0x61, 0xED, 0xA0, 0x80]),
            .post("/events/a", "", [UInt8](repeating: 0x61, count: 10_000)),
            .post("/events/a", "", [UInt8](repeating: 0x61, count: 60_000)),
            .post("/events/a", "", [UInt8](repeating: 0x61, count: 70_000)),
            .post("/events/a", "", [UInt8](repeating: 0x61, count: 1024 * 1024)),
            .post("/events/a", "", [UInt8](repeating: 0x61, count: 2 * 1024 * 1024)),
            .post(
                "/events", "Content-Type: application/x-ndjson\r\n",
                #"{"topic":"a","data":"1"}"# + "\n" + #"{"topic":"b"}"#),
            .post("/events", "Content-Type: application/x-ndjson\r\n", "nonsense"),
            .post("/events", "Content-Type: application/x-ndjson\r\n", ""),
        ]
        + [
            "Host: localhost\r\n", "Host: localhost\r\nContent-Length:\r\n",
            "Host: localhost\r\nContent-Length: +5\r\n",
            "Host: localhost\r\nContent-Length: 5, 5\r\n", "Host: localhost\r\nContent-Length: -5\r\n",
            "Host: localhost\r\nContent-Length: 00005\r\n", "Host: localhost\r\nContent-Length: 50\r\n",
            "Host: localhost\r\nContent-Length: 99999999999999999999\r\n", "Content-Length: 5\r\n",
            "Host: example.com\r\nContent-Length: 5\r\n", "Host: container\r\nContent-Length: 5\r\n",
            "Host: 127.0.0.1:80\r\nContent-Length: 5\r\n", "Host: [::1]\r\nContent-Length: 5\r\n",
            "Host: localhost:1\r\nOrigin: http://localhost:1\r\nContent-Length: 5\r\n",
            "Host: localhost:1\r\nOrigin: http://localhost:2\r\nContent-Length: 5\r\n",
        ].map { raw("POST /events/a HTTP/1.1\r\n\($0)\r\nhello") }
        + [
            raw("POST /events/a HTTP/1.0\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"),
            raw("POST /events/a HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"),
            raw("POST http://localhost/events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"),
            raw(
                "POST /events/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            ),
            raw("POST /events/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            raw("PUT /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"),
        ]

    // MARK: One request

    @Test("A subscription is answered in the same way, and receives the same")
    func subscriptions() async throws {
        try await BothWays.compare(Self.streams, least: 60)
    }

    @Test("A subscription that is refused is answered in the same way")
    func refusedSubscriptions() async throws {
        try await BothWays.compare(Self.refusedStreams)
    }

    @Test("A publish is answered in the same way, and has the same effect")
    func publishes() async throws {
        try await BothWays.compare(Self.publishes, least: 40)
    }

    @Test("It is the same with a log that has to be waited for")
    func waitingLog() async throws {
        try await BothWays.compare(
            Self.streams + Self.refusedStreams + Self.publishes, least: 100,
            hub: { BothWays.hub(log: ScriptedLog()) })
    }

    @Test("It is the same with other limits")
    func limits() async throws {
        let requests: [WayExchange] = [
            .get("/events/a?topic=b", streaming: "a"), .get("/events/a?topic=b&topic=c"),
            .post("/events/a", "", "0123456789"),
            .post("/events/a", "", "0123456789a"), .post("/events/a?id=12345"), .post("/events/a?id=123456"),
            .post("/events/a?type=12345"), .post("/events/a?type=123456"), .post("/events/12345"),
            .post("/events/123456"),
            .get("/events/123456"), .get("/events/a?topic=123456"), .post("/events/a?retry=1000"),
            .post("/events/a?retry=1001"),
            .post("/events/a", "Idempotency-Key: 12345\r\n"), .post("/events/a", "Idempotency-Key: 123456\r\n"),
        ]
        try await BothWays.compare(
            requests, least: 7,
            hub: {
                BothWays.hub {
                    $0.limits.topicsPerSubscription = 2
                    $0.limits.dataBytes = 10
                    $0.limits.idBytes = 5
                    $0.limits.typeBytes = 5
                    $0.limits.topicBytes = 5
                    $0.limits.retryMilliseconds = 1000
                    $0.limits.idempotencyKeyBytes = 5
                }
            })
    }

    private static let few: [WayExchange] = [
        .get("/events/a"), .get("/events/a", version: "1.0"), .get("/events/a", "Connection: close\r\n"),
        .get("/events/a", "Cookie: a=b\r\n"), .get("/events/a?lastEventID=earliest"),
        .get("/events/a?lastEventID=nonsense"),
        .get("/events/a?since=1h"), .get("/events"), .get("/events/a?since=x"), .post("/events/a"),
        .post("/events/a?retry=x"),
        .post("/events/a", "Idempotency-Key: one\r\n"), .post("/events/a", "Origin: null\r\n"), .post("/events"),
        raw("HEAD /events/a HTTP/1.1\r\nHost: localhost\r\n\r\n"), raw(health),
    ]

    @Test("It is the same while the hub drains")
    func draining() async throws {
        try await BothWays.compare(
            Self.few,
            prepare: { side in
                try await BothWays.publishHistory(side)
                side.hub.beginDrain()
            })
    }

    @Test("It is the same above the limit of connections")
    func aboveLimit() async throws {
        try await BothWays.compare(
            Self.few,
            door: { try await BothWays.run($0, $1, hasFrontDoor: true, maximumConnections: 1, $2) },
            router: { try await BothWays.run($0, $1, hasFrontDoor: false, maximumConnections: 1, $2) },
            prepare: { side in
                let held = try await TestConnection(port: side.port)
                try await held.send("GET /events/held HTTP/1.1\r\nHost: localhost\r\n\r\n")
                _ = try await held.receive(through: "\r\n\r\n")
                try await until { side.hub.streamCount == 1 }
            })
    }

    @Test(
        "It is the same with a log that fails",
        arguments: [MartletError.Code.storageFailed, .storageFull, .overloaded, .notRunning, .keyReused])
    func failingLog(code: MartletError.Code) async throws {
        let refused = Self.few.filter { !String(decoding: $0.bytes, as: UTF8.self).hasPrefix("GET /events/a HTTP") }
        try await BothWays.compare(
            refused, hub: { BothWays.hub(log: FailingLog(throwing: MartletError(code, "Not here."))) },
            prepare: { _ in })
    }

    @Test("It is the same with a log that fails in a way of its own")
    func unreachableLog() async throws {
        let refused = Self.few.filter { !String(decoding: $0.bytes, as: UTF8.self).hasPrefix("GET /events/a HTTP") }
        try await BothWays.compare(refused, hub: { BothWays.hub(log: FailingLog()) }, prepare: { _ in })
    }

    // MARK: Several requests

    /// Requests that are told apart by their number, of all kinds that do not end a connection.
    private static let kinds: [@Sendable (Int) -> [UInt8]] = [
        { WayExchange.post("/events/a?type=\($0)", "", "plain \($0)").bytes },
        { WayExchange.post("/events/a?retry=\($0)x", "", "refused \($0)").bytes },
        { _ in Array(health.utf8) },
        { number in
            Array(
                ("POST /events/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nchunked \(number)\r\n"
                    + "0\r\n\r\n").utf8)
        },
        { WayExchange.post("/events/b", "Idempotency-Key: key\($0 % 3)\r\n", "once").bytes },
    ]

    /// All sequences of kinds of a length.
    private static func sequences(_ length: Int) -> [[UInt8]] {
        var sequences: [[UInt8]] = [[]]
        for number in 0..<length {
            sequences = sequences.flatMap { sequence in kinds.map { sequence + $0(number) } }
        }
        return sequences
    }

    @Test("Pipelined requests are answered in the same way and order, and have the same effect")
    func pipelines() async throws {
        try await BothWays.compare(Self.sequences(3).map { WayExchange($0) }, least: 70)
    }

    @Test("A stream may follow other requests on its connection")
    func streamsBehindOthers() async throws {
        let requests = (Self.sequences(1) + Self.sequences(2)).flatMap { sequence in
            [
                WayExchange(sequence + WayExchange.get("/events/a?lastEventID=earliest").bytes, streaming: "a"),
                // The stream ends what can be answered.
                WayExchange(
                    sequence + WayExchange.get("/events/b?lastEventID=earliest").bytes + sequence, streaming: "b"),
                WayExchange(sequence + Array("BREW / HTTP/1.1\r\n\r\n".utf8) + sequence),
                WayExchange(sequence + Array("HEAD /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8) + sequence),
                WayExchange(sequence + WayExchange.post("/events/a", "Connection: close\r\n").bytes + sequence),
            ]
        }
        try await BothWays.compare(requests, least: 50)
    }

    // MARK: Access

    private struct Fault: Error {}

    /// Takes the name of the client for a token. It has to be waited for.
    private struct Names: Authenticator {
        func principal(of request: HubRequest, to purpose: AccessPurpose) async throws -> String? {
            await Task.yield()
            guard let text = request.headers[.authorization] else { return request.cookie("name") }
            guard text.hasPrefix("Bearer ") else {
                throw Problem(.unauthorized, "Send a name.", headers: [.wwwAuthenticate: "Bearer"])
            }
            let name = String(text.dropFirst("Bearer ".count))
            if name == "fault" { throw Fault() }
            return name
        }
    }

    private struct Rights: AccessPolicy {
        func grant(to principal: String?, for purpose: AccessPurpose) async throws -> Grant {
            await Task.yield()
            guard let principal else {
                guard purpose == .subscribe else { throw Problem(.unauthorized, "Publishing needs a name.") }
                return Grant(seesAllPublic: true)
            }
            if principal == "nobody" { throw Problem(.forbidden, "You may do nothing.") }
            let topics: Set<TopicSelector> = [TopicSelector("a"), TopicSelector("b")]
            return Grant(principal: principal, subscribe: topics, publish: principal == "reader" ? [] : topics)
        }
    }

    private static let withNames: [WayExchange] =
        ["", "Authorization: Bearer one\r\n", "Authorization: Bearer reader\r\n", "Cookie: name=one\r\n"].flatMap {
            fields in
            [
                .get("/events/b?lastEventID=earliest", fields, streaming: "b"),
                .get("/events/b?stream=s", fields, streaming: "b"),
                .get("/events/b", fields, version: "1.0", streaming: "b"),
            ]
        }
        + [
            "", "Authorization: Bearer one\r\n", "Authorization: Bearer two\r\n", "Authorization: Bearer reader\r\n",
            "Authorization: Bearer nobody\r\n", "Authorization: Bearer fault\r\n", "Authorization: Basic eA==\r\n",
            "Cookie: name=one\r\n", "Cookie: name=nobody\r\n",
        ].flatMap { fields in
            [
                .post("/events/a", fields), .post("/events/b?private=true", fields), .post("/events/c", fields),
                .post("/events/a", fields + "Idempotency-Key: one\r\n"), .post("/events/a?retry=x", fields),
                .post("/events", fields),
            ]
        }
        + ["Authorization: Bearer nobody\r\n", "Authorization: Bearer fault\r\n", "Authorization: Basic eA==\r\n"].map {
            .get("/events/a", $0)
        }
        + [
            .get("/events/c", "Authorization: Bearer one\r\n"),
            .get("/events/a?topic=*", "Authorization: Bearer one\r\n"),
            WayExchange(
                (0..<20).flatMap { WayExchange.post("/events/a", "Authorization: Bearer one\r\n", "\($0)").bytes }
                    + WayExchange.get("/events/a?lastEventID=earliest", "Authorization: Bearer one\r\n").bytes,
                streaming: "a"),
            WayExchange(
                (0..<20).flatMap {
                    WayExchange.post(
                        "/events/a", "Authorization: Bearer \($0 % 3 == 0 ? "nobody" : "one")\r\n", "\($0)"
                    ).bytes
                }),
        ]

    @Test("It is the same with access that has to be waited for")
    func access() async throws {
        let access = Access<BasicEventStreamRequestContext>(Names(), Rights())
        try await BothWays.compare(
            Self.withNames, least: 30,
            door: { try await BothWays.run($0, $1, hasFrontDoor: true, access: access, $2) },
            router: { try await BothWays.run($0, $1, hasFrontDoor: false, access: access, $2) })
    }

    @Test("It is the same with access that has to be waited for, and such a log")
    func accessAndWaitingLog() async throws {
        let access = Access<BasicEventStreamRequestContext>(Names(), Rights())
        try await BothWays.compare(
            Self.withNames, least: 30, hub: { BothWays.hub(log: ScriptedLog()) },
            door: { try await BothWays.run($0, $1, hasFrontDoor: true, access: access, $2) },
            router: { try await BothWays.run($0, $1, hasFrontDoor: false, access: access, $2) })
    }

    @Test("It is the same where nobody may publish")
    func readOnly() async throws {
        try await BothWays.compare(
            [
                .get("/events/a?lastEventID=earliest", streaming: "a"), .post("/events/a"), .post("/events/a?retry=x"),
                Self.raw("GET /events/a HTTP/1.1\r\nHost: example.com\r\n\r\n", streaming: "a"),
                WayExchange(
                    WayExchange.post("/events/a").bytes + WayExchange.get("/events/a?lastEventID=earliest").bytes,
                    streaming: "a"),
            ],
            least: 1,
            door: { try await BothWays.run($0, $1, hasFrontDoor: true, access: .readOnly, $2) },
            router: { try await BothWays.run($0, $1, hasFrontDoor: false, access: .readOnly, $2) })
    }

    // MARK: Pages of other origins

    /// Runs a server that pages of some origins may use.
    private static func run(
        _ hub: Hub, _ witness: RouterWitness, hasFrontDoor: Bool, allowing origins: [OriginPattern],
        _ body: @escaping @Sendable (WaySide) async throws -> Int
    ) async throws -> Int {
        let door = hasFrontDoor ? FrontDoor(allowing: origins) : nil
        let router = Router(context: BasicEventStreamRequestContext.self)
        router.add(middleware: CrossOriginMiddleware(allowing: origins))
        router.add(middleware: ProblemMiddleware())
        router.add(middleware: witness)
        router.addHealth(of: hub).addHub(hub, access: Access(Names(), Rights()), frontDoor: door)
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        let application = Application(
            router: router, server: .eventStreams(of: hub, frontDoor: door),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in
                door?.open(on: channel, logger: quiet)
                port.yield(channel.localAddress?.port ?? 0)
            }, logger: quiet)
        let services: [any Service] = [hub, application, DrainService(hub)]
        let group = ServiceGroup(configuration: .init(services: services, logger: quiet))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let bound = try await TestConnection.withPatience { await ports.first { _ in true } }
            let result: Result<Int, any Error>
            do {
                result = .success(try await body(WaySide(port: bound ?? 0, hub: hub, witness: witness)))
            } catch {
                result = .failure(error)
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return try result.get()
        }
    }

    @Test(
        "Pages of other origins get the same headers",
        arguments: [["https://a.example"], ["*"], ["https://*.b.example", "null"], ["*", "https://a.example"]])
    func origins(allowed: [String]) async throws {
        let patterns = allowed.compactMap { OriginPattern($0) }
        let name = "Authorization: Bearer one\r\n"
        let requests = [
            "", "Origin: https://a.example\r\n", "Origin: https://c.b.example\r\n", "Origin: null\r\n", "Origin:\r\n",
            "Origin: https://c.example\r\n", "Origin: https://a.example\r\nOrigin: null\r\n",
        ].flatMap { origin -> [WayExchange] in
            [
                .get("/events/a?lastEventID=earliest", origin, streaming: "a"),
                .get("/events/a", origin + name, streaming: "a"),
                .get("/events/a?lastEventID=nonsense", origin, version: "1.0", streaming: "a"), .get("/events", origin),
                .get("/events/c", origin + name), .get("/health/live", origin), .post("/events/a", origin),
                .post("/events/a", origin + name), .post("/events/a?retry=x", origin + name),
                .post("/events/c", origin + name),
                Self.raw(
                    "OPTIONS /events/a HTTP/1.1\r\nHost: localhost\r\nAccess-Control-Request-Method: POST\r\n\(origin)\r\n"
                ),
                WayExchange(
                    WayExchange.post("/events/a", origin + name).bytes
                        + WayExchange.get("/events/a?lastEventID=earliest", origin).bytes,
                    streaming: "a"),
            ]
        }
        try await BothWays.compare(
            requests, least: 20,
            door: { try await Self.run($0, $1, hasFrontDoor: true, allowing: patterns, $2) },
            router: { try await Self.run($0, $1, hasFrontDoor: false, allowing: patterns, $2) })
    }
}

extension Topic {
    /// As long as a topic may be.
    fileprivate static var long: Topic? { try? Topic(String(repeating: "a", count: 1024)) }
}
#endif

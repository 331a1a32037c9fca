// SPDX-License-Identifier: Apache-2.0

import EventStream
import Hummingbird
import Martlet
import MartletHTTP
import MartletMercure
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import MartletClient

@Suite(.timeLimit(.minutes(10))) struct HubClientTests {
    private static let book = "https://example.com/books/1"

    /// A hub of both protocols. The token `all` has all rights, and `reader` receives private events of books. Clients
    /// without a token can subscribe to public events.
    private static func run(_ body: @escaping @Sendable (TestServer) async throws -> Void) async throws {
        let grants = [
            "all": Grant(subscribe: [.every], seesAllPublic: true, publish: [.every]),
            "reader": Grant(subscribe: ["https://example.com/books/{id}"], seesAllPublic: true),
        ]
        let access = Access<BasicEventStreamRequestContext> { request, _, _ in
            guard let token = request.headers[.authorization]?.split(separator: " ").last else {
                return Grant(seesAllPublic: true)
            }
            guard let grant = grants[String(token)] else { throw Problem(.unauthorized, "The token is not known.") }
            return grant
        }
        let hub = quickHub()
        let discovery = try MercureDiscoveryMiddleware<BasicEventStreamRequestContext>(resumingFrom: hub) {
            request, _ in
            request.uri.path == "/books/1" ? book : nil
        }
        try await TestServer.run(hub: hub, access: access) { router in
            router.addMercure(of: hub, access: access)
            router.group("books").add(middleware: discovery).get(":id") { _, _ in "a book" }
        } _: {
            try await body($0)
        }
    }

    private static func hub(_ server: TestServer, token: String? = "all") -> HubClient {
        HubClient(mercure: "http://127.0.0.1:\(server.port)/.well-known/mercure") { token }
    }

    @Test("A published event is received unchanged")
    func roundTrip() async throws {
        try await Self.run { server in
            let hub = Self.hub(server)
            let data = "a & b = c + d\nü%20\r\n"
            let ids = [
                try await hub.publish(
                    HubEvent(data, to: Self.book, id: "urn:uuid:1", type: "price & more", retry: 5)),
                try await hub.publish(HubEvent(to: "other", alternates: ["https://example.com/books/2", "third"])),
            ]
            #expect(ids[0] == "urn:uuid:1")
            let template = "https://example.com/books/{id}"
            let source = hub.subscribe(to: template, "nothing", lastEventID: "earliest")
            let updates = source.makeAsyncIterator()
            let read = "a & b = c + d\nü%20\n"
            #expect(try await updates.next() == ServerSentEvent(event: "price & more", data: read, id: ids[0]))
            #expect(try await updates.next() == ServerSentEvent(data: "", id: ids[1]))
            let later = hub.subscribe(to: ["*"], lastEventID: ids[0]).makeAsyncIterator()
            #expect(try await later.next()?.id == ids[1])
        }
    }

    @Test("A private event is received with the right to its topic")
    func privateEvent() async throws {
        try await Self.run { server in
            try await Self.hub(server).publish(HubEvent("private", to: Self.book, isPrivate: true))
            try await Self.hub(server).publish("public", to: Self.book)
            for (token, data) in [(nil, "public"), ("reader", "private")] {
                let source = Self.hub(server, token: token).subscribe(to: Self.book, lastEventID: "earliest")
                #expect(try await source.makeAsyncIterator().next()?.data == data)
            }
        }
    }

    @Test("A refusal is an error without secrets")
    func refusal() async throws {
        try await Self.run { server in
            for token in ["reader", "unknown-secret"] {
                let error = await #expect(throws: HubError.self) {
                    try await Self.hub(server, token: token).publish(HubEvent("secret", to: Self.book, id: "secret"))
                }
                #expect(error?.code == .refused)
                #expect(error?.status == 401)
                #expect("\(String(reflecting: error))".contains("secret") == false)
            }
            let error = await #expect(throws: HubError.self) { try await Self.hub(server).publish("x", to: "") }
            #expect(error?.status == 400)
            let source = Self.hub(server, token: "unknown").subscribe(to: Self.book)
            await #expect(throws: EventSourceError.self) { try await source.makeAsyncIterator().next() }
        }
    }

    @Test("The token is fetched before each publish, and its error is thrown")
    func tokenForEachPublish() async throws {
        struct Denied: Error {}
        try await Self.run { server in
            let tokens = Mutex(["all", "reader"])
            let hub = HubClient(mercure: "http://127.0.0.1:\(server.port)/.well-known/mercure") {
                guard let token = tokens.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { throw Denied() }
                return token
            }
            try await hub.publish("1", to: "a")
            await #expect(throws: HubError.self) { try await hub.publish("2", to: "a") }
            await #expect(throws: Denied.self) { try await hub.publish("3", to: "a") }
            await #expect(throws: Denied.self) { try await hub.subscribe(to: "a").makeAsyncIterator().next() }
        }
    }

    @Test("A resource names its hub")
    func discoveredHub() async throws {
        try await Self.run { server in
            let origin = "http://127.0.0.1:\(server.port)"
            let id = try await Self.hub(server).publish("1", to: Self.book)
            try await server.until { $0.end.text == id }
            let found = try await HubClient.discover(from: "\(origin)/books/1")
            #expect(found.hubURLs == ["\(origin)/.well-known/mercure"])
            #expect(found.topic == Self.book)
            #expect(found.lastEventID == id)
            #expect(try await HubClient.discover(from: "\(origin)/books/2").topic == "\(origin)/books/2")

            let hub = HubClient(mercure: found.hubURLs[0]) { "all" }
            let updates = hub.subscribe(to: found.topic, lastEventID: found.lastEventID).makeAsyncIterator()
            try await hub.publish("2", to: found.topic)
            #expect(try await updates.next()?.data == "2")
        }
    }

    @Test("A resource without a hub, and a missing resource, are errors")
    func noHub() async throws {
        try await Self.run { server in
            let origin = "http://127.0.0.1:\(server.port)"
            for (path, code, status) in [
                ("/health/live", HubError.Code.noHub, nil), ("/missing", .refused, 404 as Int?),
            ] {
                let error = await #expect(throws: HubError.self) {
                    try await HubClient.discover(from: origin + path)
                }
                #expect(error?.code == code)
                #expect(error?.status == status)
            }
        }
    }

    @Test("A resource can redirect, and credentials stay with its origin")
    func discoveryRedirect() async throws {
        try await ScriptedServer.run { peer in
            let seen = peer.header("Authorization") ?? "none"
            let links = ["Link: <hub?\(seen)>; rel=mercure, <urn:x:1>; rel=self", "Link: </2>; rel=\"other Mercure\""]
            try await peer.answer(200, links)
        } _: { other in
            try await ScriptedServer.run {
                try await $0.answer(302, ["Location: http://127.0.0.1:\(other.port)/a/b"])
            } _: { server in
                let found = try await HubClient.discover(from: server.url, headers: ["Authorization": "A"])
                let origin = "http://127.0.0.1:\(other.port)"
                #expect(found.hubURLs == ["\(origin)/a/hub?none", "\(origin)/2"])
                #expect(found.topic == "urn:x:1")
                #expect(found.lastEventID == "")
                #expect(server.requests.first?.contains("Authorization: A") == true)
            }
        }
    }

    @Test("The body of a resource is not read")
    func unreadBody() async throws {
        try await ScriptedServer.run { peer in
            try await peer.send("HTTP/1.1 200 OK\r\nLink: </hub>; rel=mercure\r\n\r\n")
            while true { try await peer.send("<p>") }
        } _: { server in
            let found = try await HubClient.discover(from: server.url)
            #expect(found.hubURLs == ["http://127.0.0.1:\(server.port)/hub"])
            #expect(found.topic == server.url)
            try await server.until { $0.openCount == 0 }
        }
    }

    @Test("Redirects in a loop end with an error")
    func redirectLoop() async throws {
        try await ScriptedServer.run {
            try await $0.answer(302, ["Location: /events"])
        } _: { server in
            let error = await #expect(throws: HubError.self) { try await HubClient.discover(from: server.url) }
            #expect(error?.code == .invalidRedirect)
            #expect(server.requests.count == 21)
        }
    }

    @Test(
        "An answer that is not a hub's is an error",
        arguments: [
            ("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", HubError.Code.unavailable, 503),
            ("HTTP/1.1 307 No\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", .refused, 307),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .invalidAnswer, 200),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<p>\n</p>\n", .invalidAnswer, 200),
            ("HTTP/1.1 200 OK\r\n\r\n\(String(repeating: "x", count: 70_000))", .invalidAnswer, 200),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", .unavailable, nil), ("SSH-2.0\r\n", .unavailable, nil),
            ("", .unavailable, nil),
        ] as [(String, HubError.Code, Int?)])
    func strangeAnswer(
        answer: String, code: HubError.Code, status: Int?
    ) async throws {
        try await ScriptedServer.run {
            try await $0.send(answer)
        } _: { server in
            let error = await #expect(throws: HubError.self) {
                try await HubClient(mercure: server.url).publish("x", to: "a")
            }
            #expect(error?.code == code)
            #expect(error?.status == status)
            #expect(server.requests.count == 1)
            try await server.until { $0.openCount == 0 }
        }
    }

    @Test(
        "An answer that is missing or incomplete is a timeout",
        arguments: ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"])
    func timeout(answer: String) async throws {
        let clock = ManualClock()
        try await ScriptedServer.run { peer in
            if !answer.isEmpty { try await peer.send(answer) }
            try await peer.waitForEnd()
        } _: { server in
            var hub = HubClient(mercure: server.url, clock: clock)
            hub.timeout = .seconds(5)
            let late = hub
            async let error = #expect(throws: HubError.self) { try await late.publish("x", to: "a") }
            try await server.until { $0.requests.count == 1 }
            try await clock.waitForSleepers()
            clock.advance(by: .seconds(5))
            #expect(await error?.code == .timedOut)
            try await server.until { $0.openCount == 0 }
            #expect(clock.sleeperCount == 0)

            let task = Task { try await late.publish("x", to: "a") }
            try await server.until { $0.requests.count == 2 }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try await server.until { $0.openCount == 0 }
        }
    }

    @Test("An invalid request is refused before anything is sent")
    func invalidRequest() async throws {
        try await ScriptedServer.run {
            try await $0.answer(204)
        } _: { server in
            let hub = HubClient(mercure: server.url) { "secret\r\nX: y" }
            let event = HubEvent("x", to: "a")
            let mercure = HubClient(mercure: server.url)
            let martlet = HubClient("http://127.0.0.1:\(server.port)")
            for (hub, event, code) in [
                (hub, event, HubError.Code.invalidRequest),
                (mercure, HubEvent("x", to: "a", retry: -1), .invalidRequest),
                (mercure, HubEvent("x", to: "a", key: "k"), .invalidRequest),
                (martlet, HubEvent("x", to: "a", alternates: ["b"]), .invalidRequest),
                (HubClient(mercure: "ftp://a/"), event, .invalidURL), (HubClient(server.url), event, .invalidURL),
                (HubClient("http://a?b"), event, .invalidURL),
            ] {
                let error = await #expect(throws: HubError.self) { try await hub.publish(event) }
                #expect(error?.code == code)
                #expect("\(String(reflecting: error))".contains("secret") == false)
            }
            let error = await #expect(throws: HubError.self) { try await HubClient.discover(from: "books") }
            #expect(error?.code == .invalidURL)
            #expect(server.requests.isEmpty)
        }
    }

    @Test(
        "Topics are parameters of the hub's URL",
        arguments: [
            (HubClient(mercure: "http://a/hub"), "http://a/hub?topic=x&topic=%7By%7D%20%2B"),
            (HubClient(mercure: "http://a/?k=1#f"), "http://a/?k=1&topic=x&topic=%7By%7D%20%2B"),
            (HubClient("http://a/"), "http://a/events?topic=x&topic=%7By%7D%20%2B"),
        ])
    func topics(hub: HubClient, asked: String) {
        #expect(hub.subscribe(to: "x", "{y} +").url == asked)
    }

    @Test("The events of a batch are received in order by a client of the same hub")
    func martletHub() async throws {
        try await Self.run { server in
            let hub = HubClient("http://127.0.0.1:\(server.port)") { "all" }
            let first = try await hub.publish("0", to: "numbers", type: "number")
            let ids = try await hub.publish(
                contentsOf: (1...2500).map { HubEvent("\($0)", to: "numbers", isPrivate: $0.isMultiple(of: 2)) })
            #expect(ids.count == 2500)
            let events = hub.subscribe(to: "numbers", lastEventID: "earliest").makeAsyncIterator()
            #expect(try await events.next() == ServerSentEvent(event: "number", data: "0", id: first))
            for (index, id) in ids.enumerated() {
                let event = try await events.next()
                try #require(event?.data == "\(index + 1)" && event?.id == id)
            }
            #expect(try await hub.publish(contentsOf: []) == [])
        }
    }

    @Test("Events that were published under a key are not published again")
    func idempotencyKey() async throws {
        try await Self.run { server in
            let hub = HubClient("http://127.0.0.1:\(server.port)") { "all" }
            let events = (0..<1500).map { HubEvent("\($0)", to: "a") }
            let ids = try await hub.publish(contentsOf: events, once: "import-7")
            #expect(try await hub.publish(contentsOf: events, once: "import-7") == ids)
            #expect(try await hub.publish("x", to: "a") != ids.last)
            let mercure = Self.hub(server)
            let id = try await mercure.publish("y", to: "a", once: "k")
            #expect(try await mercure.publish("y", to: "a", once: "k") == id)
        }
    }

    @Test("The events before a refused one are published, and the error names it", arguments: [0, 1, 6, 1200])
    func refusedEvent(index: Int) async throws {
        try await Self.run { server in
            let hub = HubClient("http://127.0.0.1:\(server.port)") { "all" }
            var events = (0..<1500).map { HubEvent("\($0)", to: "a") }
            // A hub names the line of an event that is invalid.
            events[index].topic = ""
            let error = await #expect(throws: HubError.self) { try await hub.publish(contentsOf: events) }
            #expect(error?.code == .refused)
            #expect(error?.status == 400)
            #expect(error?.events == index..<index + 1)
            #expect(error?.detail?.isEmpty == false)
            let end = try await hub.publish("end", to: "a")
            let received = hub.subscribe(to: "a", lastEventID: "earliest").makeAsyncIterator()
            for number in 0..<index { try #require(try await received.next()?.data == "\(number)") }
            #expect(try await received.next()?.id == end)
        }
    }

    @Test("A request without an answer is sent again under the same key, not before the hub wants it")
    func retries() async throws {
        let clock = ManualClock()
        try await ScriptedServer.run { peer in
            switch peer.number {
            case 1: try await peer.answer(503, ["Retry-After: 7"])
            case 2: try await peer.reset()
            default:
                try await peer.send(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n\r\n1\n2\n"
                )
            }
        } _: { server in
            let reported = Mutex<[HubError]>([])
            var hub = HubClient("http://127.0.0.1:\(server.port)", clock: clock)
            hub.onRetry = { error, _ in reported.withLock { $0.append(error) } }
            hub.headers = ["X-Own": "1"]
            async let ids = hub.publish(contentsOf: [HubEvent("x", to: "a"), HubEvent("y", to: "a")])
            try await server.until { _ in reported.withLock { $0.count == 1 } }
            try await clock.waitForSleepers()
            clock.advance(by: .seconds(6))
            #expect(server.requests.count == 1)
            clock.advance(by: .seconds(1))
            try await server.until { _ in reported.withLock { $0.count == 2 } }
            try await clock.waitForSleepers()
            clock.advance(by: .seconds(1))
            #expect(try await ids == ["1", "2"])
            #expect(reported.withLock { $0.map(\.code) } == [.unavailable, .unavailable])
            #expect(reported.withLock { $0.map(\.retryAfter) } == [.seconds(7), .zero])
            let keys = server.requests.map { head in
                head.split(separator: "\r\n").filter { $0.lowercased().hasPrefix("idempotency-key: ") }
            }
            #expect(Set(keys).count == 1 && keys[0].count == 1)
            #expect(server.requests.allSatisfy { $0.contains("X-Own: 1") })
            #expect(clock.sleeperCount == 0)
        }
    }

    @Test("A hub that does not answer is given up after the time of the client")
    func givingUp() async throws {
        let clock = ManualClock()
        try await ScriptedServer.run {
            try await $0.answer(503, ["Retry-After: 5"])
        } _: { server in
            var hub = HubClient("http://127.0.0.1:\(server.port)", clock: clock)
            for time in [Duration.zero, .seconds(4)] {
                hub.retryFor = time
                let patient = hub
                let error = await #expect(throws: HubError.self) { try await patient.publish("x", to: "a") }
                #expect(error?.code == .unavailable)
                #expect(error?.events == 0..<1)
            }
            #expect(server.requests.count == 2)
        }
    }
}

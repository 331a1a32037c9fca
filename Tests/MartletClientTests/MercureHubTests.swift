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

@Suite(.timeLimit(.minutes(3))) struct MercureHubTests {
    private static let book = "https://example.com/books/1"

    /// Martlet's own routes. The token `all` may everything, the token `reader` receives what is private of books; anybody
    /// else may subscribe to what is public.
    private static func run(_ body: @escaping @Sendable (TestServer) async throws -> Void) async throws {
        let grants = [
            "all": Grant(subscribe: [.every], seesAllPublic: true, publish: [.every]),
            "reader": Grant(subscribe: ["https://example.com/books/{id}"], seesAllPublic: true),
        ]
        let access = Access<EventStreamRequestContext> { request, _, _ in
            guard let token = request.headers[.authorization]?.split(separator: " ").last else {
                return Grant(seesAllPublic: true)
            }
            guard let grant = grants[String(token)] else { throw Problem(.unauthorized, "The token is not known.") }
            return grant
        }
        let hub = quickHub()
        let discovery = try MercureDiscoveryMiddleware<EventStreamRequestContext>(resumingFrom: hub) { request, _ in
            request.uri.path == "/books/1" ? book : nil
        }
        try await TestServer.run(hub: hub, access: access) { router in
            router.addMercure(hub: hub, access: access)
            router.group("books").add(middleware: discovery).get(":id") { _, _ in "a book" }
        } _: {
            try await body($0)
        }
    }

    private static func hub(_ server: TestServer, token: String? = "all") -> MercureHub {
        MercureHub("http://127.0.0.1:\(server.port)/.well-known/mercure") { token }
    }

    @Test func `what is published is received as it was`() async throws {
        try await Self.run { server in
            let hub = Self.hub(server)
            let data = "a & b = c + d\nü%20\r\n"
            let ids = [
                try await hub.publish(data, to: Self.book, id: "urn:uuid:1", type: "price & more", retry: 5),
                try await hub.publish(to: "other", alternates: ["https://example.com/books/2", "third"]),
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

    @Test func `what is private is received by whom it is granted to`() async throws {
        try await Self.run { server in
            try await Self.hub(server).publish("private", to: Self.book, isPrivate: true)
            try await Self.hub(server).publish("public", to: Self.book)
            for (token, data) in [(nil, "public"), ("reader", "private")] {
                let source = Self.hub(server, token: token).subscribe(to: Self.book, lastEventID: "earliest")
                #expect(try await source.makeAsyncIterator().next()?.data == data)
            }
        }
    }

    @Test func `a refusal is an error that tells no secrets`() async throws {
        try await Self.run { server in
            for token in ["reader", "unknown-secret"] {
                let error = await #expect(throws: MercureError.self) {
                    try await Self.hub(server, token: token).publish("secret", to: Self.book, id: "secret")
                }
                #expect(error?.code == .refused)
                #expect(error?.status == 401)
                #expect("\(String(reflecting: error))".contains("secret") == false)
            }
            let error = await #expect(throws: MercureError.self) { try await Self.hub(server).publish("x", to: "") }
            #expect(error?.status == 400)
            let source = Self.hub(server, token: "unknown").subscribe(to: Self.book)
            await #expect(throws: EventSourceError.self) { try await source.makeAsyncIterator().next() }
        }
    }

    @Test func `the token is asked for before each publish, and what it throws is thrown`() async throws {
        struct Denied: Error {}
        try await Self.run { server in
            let tokens = Mutex(["all", "reader"])
            let hub = MercureHub("http://127.0.0.1:\(server.port)/.well-known/mercure") {
                guard let token = tokens.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { throw Denied() }
                return token
            }
            try await hub.publish("1", to: "a")
            await #expect(throws: MercureError.self) { try await hub.publish("2", to: "a") }
            await #expect(throws: Denied.self) { try await hub.publish("3", to: "a") }
            await #expect(throws: Denied.self) { try await hub.subscribe(to: "a").makeAsyncIterator().next() }
        }
    }

    @Test func `a resource says where its hub is`() async throws {
        try await Self.run { server in
            let origin = "http://127.0.0.1:\(server.port)"
            let id = try await Self.hub(server).publish("1", to: Self.book)
            try await server.until { $0.end.text == id }
            let found = try await MercureHub.discover(from: "\(origin)/books/1")
            #expect(found.hubURLs == ["\(origin)/.well-known/mercure"])
            #expect(found.topic == Self.book)
            #expect(found.lastEventID == id)
            #expect(try await MercureHub.discover(from: "\(origin)/books/2").topic == "\(origin)/books/2")

            let hub = MercureHub(found.hubURLs[0]) { "all" }
            let updates = hub.subscribe(to: found.topic, lastEventID: found.lastEventID).makeAsyncIterator()
            try await hub.publish("2", to: found.topic)
            #expect(try await updates.next()?.data == "2")
        }
    }

    @Test func `a resource without a hub, and no resource, are errors`() async throws {
        try await Self.run { server in
            let origin = "http://127.0.0.1:\(server.port)"
            for (path, code, status) in [
                ("/health/live", MercureError.Code.noHub, nil), ("/missing", .refused, 404 as Int?),
            ] {
                let error = await #expect(throws: MercureError.self) {
                    try await MercureHub.discover(from: origin + path)
                }
                #expect(error?.code == code)
                #expect(error?.status == status)
            }
        }
    }

    @Test func `a resource may redirect, and credentials stay with its origin`() async throws {
        try await ScriptedServer.run { peer in
            let seen = peer.header("Authorization") ?? "none"
            let links = ["Link: <hub?\(seen)>; rel=mercure, <urn:x:1>; rel=self", "Link: </2>; rel=\"other Mercure\""]
            try await peer.answer(200, links)
        } _: { other in
            try await ScriptedServer.run {
                try await $0.answer(302, ["Location: http://127.0.0.1:\(other.port)/a/b"])
            } _: { server in
                let found = try await MercureHub.discover(from: server.url, headers: ["Authorization": "A"])
                let origin = "http://127.0.0.1:\(other.port)"
                #expect(found.hubURLs == ["\(origin)/a/hub?none", "\(origin)/2"])
                #expect(found.topic == "urn:x:1")
                #expect(found.lastEventID == "")
                #expect(server.requests.first?.contains("Authorization: A") == true)
            }
        }
    }

    @Test func `the body of a resource is not read`() async throws {
        try await ScriptedServer.run { peer in
            try await peer.send("HTTP/1.1 200 OK\r\nLink: </hub>; rel=mercure\r\n\r\n")
            while true { try await peer.send("<p>") }
        } _: { server in
            let found = try await MercureHub.discover(from: server.url)
            #expect(found.hubURLs == ["http://127.0.0.1:\(server.port)/hub"])
            #expect(found.topic == server.url)
            try await server.until { $0.openCount == 0 }
        }
    }

    @Test func `redirects in a circle come to an end`() async throws {
        try await ScriptedServer.run {
            try await $0.answer(302, ["Location: /events"])
        } _: { server in
            let error = await #expect(throws: MercureError.self) { try await MercureHub.discover(from: server.url) }
            #expect(error?.code == .invalidRedirect)
            #expect(server.requests.count == 21)
        }
    }

    @Test(
        arguments: [
            ("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", MercureError.Code.unavailable, 503),
            ("HTTP/1.1 307 No\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", .refused, 307),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .invalidAnswer, 200),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<p>\n</p>\n", .invalidAnswer, 200),
            ("HTTP/1.1 200 OK\r\n\r\n\(String(repeating: "x", count: 70_000))", .invalidAnswer, 200),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", .unavailable, nil), ("SSH-2.0\r\n", .unavailable, nil),
            ("", .unavailable, nil),
        ] as [(String, MercureError.Code, Int?)])
    func `what is not the answer of a hub is an error`(
        answer: String, code: MercureError.Code, status: Int?
    ) async throws {
        try await ScriptedServer.run {
            try await $0.send(answer)
        } _: { server in
            let error = await #expect(throws: MercureError.self) {
                try await MercureHub(server.url).publish("x", to: "a")
            }
            #expect(error?.code == code)
            #expect(error?.status == status)
            #expect(server.requests.count == 1)
            try await server.until { $0.openCount == 0 }
        }
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"])
    func `an answer that does not come, or not whole, is not waited for`(answer: String) async throws {
        let clock = ManualClock()
        try await ScriptedServer.run { peer in
            if !answer.isEmpty { try await peer.send(answer) }
            try await peer.waitForEnd()
        } _: { server in
            var hub = MercureHub(server.url, clock: clock)
            hub.timeout = .seconds(5)
            let late = hub
            async let error = #expect(throws: MercureError.self) { try await late.publish("x", to: "a") }
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

    @Test func `what cannot be sent is refused before anything is`() async throws {
        try await ScriptedServer.run {
            try await $0.answer(204)
        } _: { server in
            let hub = MercureHub(server.url) { "secret\r\nX: y" }
            for (hub, retry, code) in [
                (hub, nil, MercureError.Code.invalidRequest), (MercureHub(server.url), -1 as Int?, .invalidRequest),
                (MercureHub("ftp://a/"), nil, .invalidURL),
            ] {
                let error = await #expect(throws: MercureError.self) {
                    try await hub.publish("x", to: "a", retry: retry)
                }
                #expect(error?.code == code)
                #expect("\(String(reflecting: error))".contains("secret") == false)
            }
            let error = await #expect(throws: MercureError.self) { try await MercureHub.discover(from: "books") }
            #expect(error?.code == .invalidURL)
            #expect(server.requests.isEmpty)
        }
    }

    @Test(arguments: [
        ("http://a/hub", "http://a/hub?topic=x&topic=%7By%7D%20%2B"),
        ("http://a/?k=1#f", "http://a/?k=1&topic=x&topic=%7By%7D%20%2B"),
    ])
    func `topics are added to the URL of the hub`(url: String, asked: String) {
        #expect(MercureHub(url).subscribe(to: "x", "{y} +").url == asked)
    }
}

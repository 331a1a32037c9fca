// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Hummingbird
import Martlet
import MartletHTTP
import MartletTesting
import TestSupport
import Testing

/// Streams of a hub that an application decides about, over everything that it may speak.
@Suite(.timeLimit(.minutes(10))) struct HubStreamTests {
    /// A server with a stream of each order, which only who says that he is somebody gets.
    private func run(
        _ transport: Transport, hub: Hub = quickHub(), arrangement: TestServer.Arrangement = .applicationServices,
        _ body: @Sendable @escaping (TestServer, StreamClient) async throws -> Void
    ) async throws {
        func addOrders(_ router: Router<BasicEventStreamRequestContext>) {
            router.events("orders/{id}", from: hub) { request, context in
                guard let name = request.uri.queryParameters["name"] else { throw HTTPError(.unauthorized) }
                let topic = try Topic("orders/\(context.parameters.require("id"))")
                return HubStream(topic, grant: Grant(principal: String(name), subscribe: [TopicSelector(topic)]))
            }
            router.events("forbidden", from: hub) { _, _ in
                HubStream("secret", grant: Grant(subscribe: [TopicSelector("other" as Topic)]))
            }
        }
        try await TestServer.run(
            hub: hub, speaking: try transport.server, arrangement: arrangement, adding: addOrders
        ) { server in
            try await StreamClient.run(transport, port: server.port) { try await body(server, $0) }
        }
    }

    @Test(
        "A client gets the topics that the application names, and private events that it grants",
        arguments: Transport.allCases)
    func clientGetsTheTopics(
        transport: Transport
    ) async throws {
        try await run(transport) { server, client in
            let stream = try await client.get("/orders/42?name=ann")
            #expect(stream.status == 200)
            #expect(stream.isHTTP2 == (transport == .http2))
            #expect(stream.headers["content-type"] == "text/event-stream")
            #expect(stream.headers["connection"] == nil)
            try await server.hub.publish("other", to: "orders/43")
            try await server.hub.publish(Event(topic: "orders/42", data: "for ann", isPrivate: true))
            let id = try await server.hub.publish("two\nlines", to: "orders/42")
            #expect(try await stream.next()?.data == "for ann")
            #expect(try await stream.next() == ServerSentEvent(data: "two\nlines", id: id))
        }
    }

    @Test("A client goes on after what it saw last", arguments: Transport.allCases)
    func clientGoesOnAfter(transport: Transport) async throws {
        try await run(transport) { server, client in
            var ids: [String] = []
            for number in 0..<1000 { ids.append(try await server.hub.publish("\(number)", to: "orders/1")) }
            let stream = try await client.get("/orders/1?name=ann", lastEventID: ids[9])
            for number in 10..<1000 { #expect(try await stream.next()?.data == "\(number)") }
            try await server.hub.publish("live", to: "orders/1")
            #expect(try await stream.next()?.data == "live")
            let gap = try await client.get("/orders/1?name=ann", lastEventID: "never")
            #expect(gap.headers["martlet-gap"] == "unknown")
            #expect(try await gap.next()?.event == "gap")
        }
    }

    @Test(
        "A refusal of the application and a topic outside the grant each have their status",
        arguments: Transport.allCases)
    func whatTheApplicationRefuses(
        transport: Transport
    ) async throws {
        try await run(transport) { server, client in
            for (path, status) in [("/orders/1", 401), ("/forbidden", 403), ("/orders/1?name=ann&since=x", 400)] {
                let answer = try await client.get(path)
                #expect(answer.status == status)
            }
            #expect(server.hub.streamCount == 0)
        }
    }

    @Test("A client that leaves takes its stream along", arguments: Transport.allCases)
    func clientThatLeavesTakes(transport: Transport) async throws {
        try await run(transport) { server, client in
            try await StreamClient.run(transport, port: server.port) { other async throws in
                let stream = try await other.get("/orders/1?name=bob")
                _ = try await stream.nextElement()
                try await server.until { $0.streamCount == 1 }
            }
            try await server.until { $0.streamCount == 0 }
            // The connection that had it is gone or usable; others are not touched.
            let answer = try await client.get("/orders/1")
            #expect(answer.status == 401)
        }
    }

    @Test("A stream ends with the right to it", arguments: Transport.allCases)
    func streamEndsWithTheRight(transport: Transport) async throws {
        try await run(transport) { server, client in
            let (ann, bob) = (try await client.get("/orders/1?name=ann"), try await client.get("/orders/1?name=bob"))
            try await server.until { $0.streamCount == 2 }
            server.hub.revoke("ann")
            #expect(try await ann.next() == nil)
            try await server.hub.publish("still", to: "orders/1")
            #expect(try await bob.next()?.data == "still")
        }
    }

    @Test("Streams live through silence, and get old", arguments: Transport.allCases)
    func streamsLiveThroughSilence(transport: Transport) async throws {
        let hub = quickHub {
            $0.heartbeat = .milliseconds(50)
            $0.maximumConnectionAge = .milliseconds(1500)
        }
        try await run(transport, hub: hub) { server, client in
            let stream = try await client.get("/orders/1?name=ann")
            var elements: [EventStreamParser.Element] = []
            while let element = try await stream.nextElement() { elements.append(element) }
            #expect(
                elements.count { $0 == .retry(milliseconds: 0) } == 2, "opened, and ended as it should: \(elements)")
        }
    }

    @Test(
        "A server that shuts down ends its streams", arguments: Transport.allCases,
        [TestServer.Arrangement.outerGroup, .applicationServices])
    func serverThatShutsDownEnds(
        transport: Transport, arrangement: TestServer.Arrangement
    ) async throws {
        try await run(transport, arrangement: arrangement) { server, client in
            let stream = try await client.get("/orders/1?name=ann")
            try await server.until { $0.streamCount == 1 }
            try await server.hub.publish("last", to: "orders/1")
            #expect(try await stream.next()?.data == "last")
            await server.shutDown()
            #expect(try await stream.next() == nil)
        }
    }

    @Test("A client that takes nothing delays no other, even on the same connection")
    func clientThatTakesNothingHolds() async throws {
        try await run(.http2) { server, client in
            // Both are streams of one connection.
            let (slow, quick) = (try await client.get("/orders/1?name=a"), try await client.get("/orders/1?name=b"))
            try await server.until { $0.streamCount == 2 }
            let data = String(repeating: "x", count: 64 * 1024)
            for number in 0..<20 {
                try await server.hub.publish("\(number) \(data)", to: "orders/1")
                #expect(try await quick.next()?.data?.hasPrefix("\(number) ") == true)
            }
            for number in 0..<20 { #expect(try await slow.next()?.data?.hasPrefix("\(number) ") == true) }
        }
    }

    @Test("HEAD answers the head")
    func headAnswersTheHead() async throws {
        let hub = quickHub()
        func add(_ router: Router<BasicEventStreamRequestContext>) {
            router.events("a", from: hub) { _, _ in HubStream("a") }
        }
        try await TestServer.run(hub: hub, speaking: .http1(), adding: add) { server in
            let response = try await server.request("HEAD", "/a")
            #expect(response.status == 200)
            #expect(response.header("content-type") == "text/event-stream")
            #expect(response.body == "")
            #expect(hub.streamCount == 0)
        }
    }
}

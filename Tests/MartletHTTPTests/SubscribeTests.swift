// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Hummingbird
import Martlet
import MartletHTTP
import MartletTesting
import NIOCore
import TestSupport
import Testing

@Suite struct SubscribeTests {
    @Test("A subscriber receives what is published from then on")
    func subscriberReceivesWhatIsPublished() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/orders/42")
            let id = try await server.hub.publish("shipped", to: "orders/42")
            try await server.hub.publish("other", to: "orders/43")
            try await server.hub.publish("two\nlines", to: "orders/42")
            #expect(try await source.next() == ServerSentEvent(data: "shipped", id: id))
            #expect(try await source.next()?.data == "two\nlines")
        }
    }

    @Test("The head of a stream is what browsers and proxies need")
    func headOfAStream() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let response = TestResponse(source.head + "\r\n\r\n")
            #expect(response.status == 200)
            #expect(response.header("content-type") == "text/event-stream")
            #expect(response.header("cache-control") == "no-cache, no-transform")
            #expect(response.header("x-accel-buffering") == "no")
            #expect(response.header("x-content-type-options") == "nosniff")
            #expect(response.header("connection") == "close")
            #expect(response.header("content-length") == nil)
            #expect(response.header("martlet-gap") == nil)
            #expect(try await source.nextElement() == .comment(""))
            #expect(try await source.nextElement() == .retry(milliseconds: 0))
            #expect(try await source.nextID() == response.header("last-event-id"))
        }
    }

    @Test("A head does not wait for a body that takes its time")
    func headDoesNotWait() async throws {
        let (bodies, body) = AsyncStream.makeStream(of: String.self)
        func addSlow(_ router: Router<BasicEventStreamRequestContext>) {
            router.get("slow") { _, _ in
                Response(
                    status: .ok,
                    body: ResponseBody { writer in
                        for await text in bodies { try await writer.write(ByteBuffer(string: text)) }
                        try await writer.finish(nil)
                    })
            }
        }
        try await TestServer.run(adding: addSlow) { server in
            let source = try await TestEventSource(port: server.port, path: "/slow")
            #expect(source.head.hasPrefix("HTTP/1.1 200 OK"))
            body.yield("data: late\n\n")
            #expect(try await source.next()?.data == "late")
            body.finish()
        }
    }

    @Test("HEAD answers the head of the stream and ends")
    func headAnswersTheHead() async throws {
        try await TestServer.run { server in
            let response = try await server.request("HEAD", "/events/a")
            #expect(response.status == 200)
            #expect(response.header("content-type") == "text/event-stream")
            #expect(response.header("content-length") == nil)
            #expect(response.body.isEmpty)
            try await server.until { $0.feedCount == 0 }
        }
    }

    @Test("An error to HEAD has no body, so that the next answer is where it belongs")
    func errorToHEAD() async throws {
        try await TestServer.run { server in
            let connection = try await TestConnection(port: server.port)
            try await connection.send(
                "HEAD /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    + "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: Close\r\n\r\n")
            let text = try await connection.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 404"))
            #expect(text.contains("\r\n\r\nHTTP/1.1 200 OK"))
        }
    }

    @Test("A request has to have one host", arguments: ["", "Host: localhost\r\nHost: example.com\r\n"])
    func requestHasToHaveOne(hosts: String) async throws {
        try await TestServer.run { server in
            let connection = try await TestConnection(port: server.port)
            try await connection.send("GET /health/live HTTP/1.1\r\n\(hosts)\r\n")
            let response = TestResponse(try await connection.receiveAll())
            #expect(response.status == 400)
            #expect(response.body.contains(#""field":"Host""#))
        }
    }

    @Test("OPTIONS says what is allowed")
    func optionsSaysWhatIsAllowed() async throws {
        try await TestServer.run { server in
            let response = try await server.request("OPTIONS", "/events/a")
            #expect(response.status == 204)
            #expect(response.header("allow") == "GET, HEAD, OPTIONS, POST, PUT")
        }
    }

    @Test("One stream may have several topics")
    func oneStreamMayHaveSeveral() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a?topic=b&topic=c%2Fd&topic=a")
            for topic: Topic in ["a", "x", "b", "c/d"] { try await server.hub.publish(topic.name, to: topic) }
            #expect(try await source.next()?.data == "a")
            #expect(try await source.next()?.data == "b")
            #expect(try await source.next()?.data == "c/d")
        }
    }

    @Test(
        "The topic is the path as it was written, decoded once",
        arguments: [
            ("a//b", "a//b"), ("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("/a", "/a"), ("a/", "a/"), ("%C3%BC", "ü"),
            ("a+b", "a+b"), ("a%20b", "a b"), ("..", ".."),
        ])
    func topicIsThePath(path: String, topic: String) async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/\(path)")
            try await server.hub.publish("here", to: try Topic(topic))
            #expect(try await source.next()?.data == "here")
            #expect(try await server.request("POST", "/events/\(path)", body: "there").status == 200)
            #expect(try await source.next()?.data == "there")
        }
    }

    @Test("A client resumes by header or query, and the header wins")
    func clientResumesByHeader() async throws {
        try await TestServer.run { server in
            var ids: [String] = []
            for number in 0..<4 { ids.append(try await server.hub.publish("\(number)", to: "a")) }
            let byHeader = try await TestEventSource(port: server.port, path: "/events/a", lastEventID: ids[1])
            #expect(try await byHeader.next()?.data == "2")
            for name in ["lastEventID", "last_event_id"] {
                let byQuery = try await TestEventSource(port: server.port, path: "/events/a?\(name)=\(ids[2])")
                #expect(try await byQuery.next()?.data == "3")
            }
            let both = try await TestEventSource(
                port: server.port, path: "/events/a?lastEventID=\(ids[2])", lastEventID: ids[0])
            #expect(try await both.next()?.data == "1")
            let earliest = try await TestEventSource(port: server.port, path: "/events/a?lastEventID=earliest")
            #expect(try await earliest.next()?.data == "0")
        }
    }

    @Test("A publisher's own id is on the wire and can be resumed from")
    func publisherSOwnId() async throws {
        try await TestServer.run { server in
            let id = "bestellung-é-42"
            try await server.hub.publish(Event(topic: "a", data: "1", id: id, type: "shipped", retry: 5))
            try await server.hub.publish("2", to: "a")
            let all = try await TestEventSource(port: server.port, path: "/events/a?lastEventID=earliest")
            #expect(try await all.next() == ServerSentEvent(event: "shipped", data: "1", id: id))
            let resumed = try await TestEventSource(port: server.port, path: "/events/a", lastEventID: id)
            #expect(try await resumed.next()?.data == "2")
        }
    }

    @Test(
        "A client that cannot be given all is told so in the stream and in the head",
        arguments: [("nonsense", "unknown"), ("aaaaaaaa-7", "epoch")])
    func clientThatCannotBeGiven(
        id: String, reason: String
    ) async throws {
        try await TestServer.run { server in
            try await server.hub.publish("kept", to: "a")
            let source = try await TestEventSource(port: server.port, path: "/events/a", lastEventID: id)
            #expect(TestResponse(source.head + "\r\n\r\n").header("martlet-gap") == reason)
            let gap = try await source.next()
            #expect(gap?.event == "gap")
            // The gap carries where the stream goes on, in the present epoch.
            let from = try #require(gap?.id)
            #expect(gap?.data == #"{"reason":"\#(reason)","from":"\#(from)"}"#)
            #expect(from.hasSuffix("-0"))
            #expect(try await server.hub.log.resolve(from, for: Selection(topics: ["a"])).gap == nil)
            #expect(try await source.next()?.data == "kept")
        }
    }

    @Test("HTTP/1.0 clients get raw frames that end with the connection")
    func http10ClientsGet() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a", version: "1.0")
            let response = TestResponse(source.head + "\r\n\r\n")
            #expect(source.head.hasPrefix("HTTP/1.0 200 OK"))
            #expect(response.header("transfer-encoding") == nil)
            #expect(response.header("connection") == "close")
            let id = try await server.hub.publish("shipped", to: "a")
            #expect(try await source.next()?.data == "shipped")
            #expect(String(decoding: source.body, as: UTF8.self).hasSuffix("id: \(id)\ndata: shipped\n\n"))
        }
    }

    @Test(
        "A subscription without a proper topic is refused",
        arguments: ["/events", "/events/", "/events/%00", "/events/a%zz", "/events/%ff", "/events/a?topic="])
    func subscriptionWithoutAProperTopic(path: String) async throws {
        try await TestServer.run { server in
            let response = try await server.request("GET", path)
            #expect(response.status == 400)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.body.contains(#""field":"topic""#))
        }
    }

    @Test("More topics than allowed are refused")
    func moreTopicsThanAllowed() async throws {
        let hub = quickHub { $0.limits.topicsPerSubscription = 2 }
        try await TestServer.run(hub: hub) { server in
            #expect(try await server.request("HEAD", "/events/a?topic=b").status == 200)
            let response = try await server.request("GET", "/events/a?topic=b&topic=c")
            #expect(response.status == 400)
            #expect(response.body.contains(#""field":"topic""#))
        }
    }

    @Test("Private events do not reach who has no right to them")
    func privateEventsDoNotReach() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            try await server.hub.publish(Event(topic: "a", data: "secret", isPrivate: true))
            try await server.hub.publish("open", to: "a")
            #expect(try await source.next()?.data == "open")
        }
    }

    @Test("Unknown routes and wrong methods are told apart")
    func unknownRoutesAndWrongMethods() async throws {
        try await TestServer.run { server in
            #expect(try await server.request("GET", "/nowhere").status == 404)
            let wrong = try await server.request("DELETE", "/events/a")
            #expect(wrong.status == 405)
            #expect(wrong.header("allow") == "GET, HEAD, OPTIONS, POST, PUT")
            #expect(try await server.request("POST", "/health/live").status == 405)
            #expect(try await server.request("PROPFIND", "/events/a").status == 501)
        }
    }

    @Test("Health says whether the server is alive and ready")
    func healthSaysWhetherTheServer() async throws {
        try await TestServer.run { server async throws in
            func status(_ path: String) async throws -> Int { try await server.request("GET", path).status }
            #expect(try await status("/health/live") == 200)
            #expect(try await status("/health/ready") == 200)
            server.hub.beginDrain()
            #expect(try await status("/health/live") == 200)
            #expect(try await status("/health/ready") == 503)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import Martlet
import MartletHTTP
import MartletTesting
import TestSupport
import Testing

@Suite struct HistoryRouteTests {
    @Test("History is lines of JSON with links to the next page")
    func historyIsLines() async throws {
        try await TestServer.run { server in
            try await server.hub.publish("one", to: "a/b")
            let second = Event(
                topic: "other", alternates: ["a/b"], data: "two\n\"lines\"", id: "own", type: "t", retry: 5, key: "k")
            try await server.hub.publish(second)
            try await server.hub.publish("three", to: "more")
            let first = try await server.request("GET", "/history/a/b?topic=more&limit=1&authorization=t&wait=5s")
            #expect(first.status == 200)
            #expect(first.header("content-type") == "application/x-ndjson")
            #expect(first.header("cache-control") == "no-store")
            let id = try #require(first.header("last-event-id"))
            #expect(first.body == #"{"topic":"a/b","data":"one","id":"\#(id)"}"# + "\n")
            #expect(first.header("link") == "</history/a/b?topic=more&limit=1&after=\(id)>; rel=\"next\"")
            let next = try await server.request("GET", "/history/a/b?topic=more&limit=1&after=\(id)")
            #expect(
                next.body == #"{"topic":"a/b","data":"two\n\"lines\"","id":"own","type":"t","retry":5,"key":"k"}"#
                    + "\n")
            #expect(next.header("link") != nil)
            let last = try await server.request("GET", "/history/a/b?topic=more", headers: ["Last-Event-ID": "own"])
            #expect(last.body.contains(#""topic":"more","data":"three""#))
            #expect(last.header("link") == nil)
            let end = try #require(last.header("last-event-id"))
            let empty = try await server.request("GET", "/history/a/b?topic=more&after=\(end)")
            #expect(empty.status == 200)
            #expect(empty.body.isEmpty)
            #expect(empty.header("last-event-id") == end)
            let head = try await server.request("HEAD", "/history/a/b?limit=1&wait=60s&after=\(end)")
            #expect(head.status == 200)
            #expect(head.body.isEmpty)
        }
    }

    @Test("Lines of history can be published again")
    func linesCanBePublished() async throws {
        try await TestServer.run { server in
            try await server.hub.publish(Event(topic: "a", data: "\u{1F426}\0\"", id: "own", type: "t", key: "k"))
            let lines = try await server.request("GET", "/history/a").body
            let answer = try await server.request(
                "POST", "/events", headers: ["Content-Type": "application/x-ndjson"], body: lines)
            #expect(answer.status == 200)
            #expect(try await server.request("GET", "/history/a").body == lines + lines)
        }
    }

    @Test(
        "Bad parameters are refused with their field",
        arguments: [
            ("/history/a?limit=0", "limit"), ("/history/a?limit=1001", "limit"), ("/history/a?limit=x", "limit"),
            ("/history/a?wait=61s", "wait"), ("/history/a?wait=5", "wait"), ("/history", "topic"),
            ("/history/", "topic"), ("/state", "topic"), ("/state/%zz", "topic"),
            ("/events/a?profile=simple", "profile"), ("/events/a?profile=", "profile"),
            ("/events/a?heartbeat=id", "heartbeat"), ("/events/a?heartbeat=event&profile=plain", "heartbeat"),
        ])
    func badParameters(path: String, field: String) async throws {
        try await TestServer.run { server in
            let response = try await server.request("GET", path)
            #expect(response.status == 400)
            #expect(response.body.contains(#""field":"\#(field)""#))
        }
    }

    @Test("A gap is in a header of the page")
    func gapIsInAHeader() async throws {
        try await TestServer.run { server in
            let response = try await server.request("GET", "/history/a?after=nonsense")
            #expect(response.status == 200)
            #expect(response.header("martlet-gap") == "unknown")
            #expect(try await server.request("GET", "/history/a").header("martlet-gap") == nil)
        }
    }

    @Test("A client that waits is answered by the next event, and one that leaves is forgotten")
    func clientThatWaits() async throws {
        try await TestServer.run { server in
            let answer = Task { try await server.request("GET", "/history/a?wait=60s") }
            try await server.until { $0.feedCount == 1 }
            try await server.hub.publish("new", to: "a")
            #expect(try await answer.value.body.contains(#""data":"new""#))
            let leaver = try await TestConnection(port: server.port)
            try await leaver.send("GET /history/b?wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try await server.until { $0.feedCount == 1 }
            try await leaver.close()
            try await server.until { $0.feedCount == 0 }
            // An expectation has no effect.
            let expecting = Task {
                try await server.request("GET", "/history/b?wait=60s", headers: ["Expect": "100-continue"])
            }
            try await server.until { $0.feedCount == 1 }
            try await server.hub.close("b")
            let end = try await expecting.value
            #expect(end.header("martlet-end") == "closed")
            #expect(end.body.isEmpty)
        }
    }

    @Test("A client that waits is answered when the server shuts down")
    func clientThatWaitsIsAnswered() async throws {
        try await TestServer.run { server in
            let answer = Task { try await server.request("GET", "/history/a?wait=60s") }
            try await server.until { $0.feedCount == 1 }
            await server.shutDown()
            #expect(try await answer.value.status == 200)
        }
    }

    @Test("A publisher to a topic may remove its history, and no other client")
    func publisherMayRemove() async throws {
        let access = Access<BasicEventStreamRequestContext> { request, _, _ in
            let own = TopicSelector("own" as Topic)
            return Grant(seesAllPublic: true, publish: request.headers[.authorization] == "Bearer p" ? [own] : [])
        }
        try await TestServer.run(access: access) { server in
            for topic in ["own", "other"] as [Topic] { try await server.hub.publish("1", to: topic) }
            func remove(_ path: String, _ token: String = "p") async throws -> Int {
                try await server.request("DELETE", path, headers: ["Authorization": "Bearer \(token)"]).status
            }
            #expect(try await remove("/history/own", "q") == 403)
            #expect(try await remove("/history/other") == 403)
            #expect(try await remove("/history") == 400)
            #expect(try await remove("/history/own?topic=other") == 400)
            #expect(try await server.request("GET", "/history/own").body.contains(#""data":"1""#))
            #expect(try await remove("/history/own") == 204)
            #expect(try await remove("/history/own") == 204)
            #expect(try await server.request("GET", "/history/own").body.isEmpty)
            #expect(try await server.request("GET", "/history/other").body.contains(#""data":"1""#))
            #expect(try await server.request("POST", "/history/own").header("allow") == "DELETE, GET, HEAD, OPTIONS")
        }
    }

    @Test("A client without the right sees no private event, no key and no topic of others")
    func clientWithoutTheRight() async throws {
        let access = Access<BasicEventStreamRequestContext> { request, _, _ in
            guard request.headers[.authorization] == "Bearer own" else { return Grant(seesAllPublic: true) }
            return Grant(principal: "p", subscribe: [TopicSelector("own" as Topic)])
        }
        try await TestServer.run(access: access) { server in
            try await server.hub.publish(Event(topic: "own", data: "secret", key: "hidden", isPrivate: true))
            try await server.hub.publish(
                Event(topic: "users/7", alternates: ["own"], data: "shared", key: "k", isPrivate: true))
            for path in ["/history/own", "/state/own", "/state/own?topic=x"] {
                let anyone = try await server.request("GET", path).body
                for text in ["secret", "hidden", "shared", "users"] { #expect(!anyone.contains(text)) }
                let own = try await server.request("GET", path, headers: ["Authorization": "Bearer own"])
                guard !path.contains("?") else {
                    #expect(own.status == 403)
                    continue
                }
                #expect(own.body.contains("secret") && own.body.contains("shared") && !own.body.contains("users"))
            }
            let personal = try await server.request("GET", "/state/own", headers: ["Authorization": "Bearer own"])
            #expect(personal.header("cache-control") == "private, no-cache")
            #expect(try await server.request("GET", "/state/own").header("cache-control") == "no-cache")
            for path in ["/history/other", "/state/other"] {
                #expect(try await server.request("GET", path, headers: ["Authorization": "Bearer own"]).status == 403)
            }
        }
    }

    @Test("The state of a topic is one document, which a client that has it does not get again")
    func stateIsOneDocument() async throws {
        try await TestServer.run { server in
            try await server.hub.publish(Event(topic: "a", data: "1", type: "t", key: "x"))
            let id = try await server.hub.publish(Event(topic: "a", data: "2", key: "\"y"))
            let state = try await server.request("GET", "/state/a")
            #expect(state.status == 200)
            #expect(state.header("content-type") == "application/json")
            let json = try JSONValue(parsing: state.body.utf8)
            #expect(json["lastEventID"]?.stringValue == id)
            #expect(state.header("last-event-id") == id)
            #expect(json["values"]?["x"]?["data"]?.stringValue == "1")
            #expect(json["values"]?["x"]?["type"]?.stringValue == "t")
            #expect(json["values"]?["\"y"]?["data"]?.stringValue == "2")
            #expect(json["values"]?["\"y"]?["id"]?.stringValue == id)
            let tag = try #require(state.header("etag"))
            func again(_ tag: String) async throws -> TestResponse {
                try await server.request("GET", "/state/a", headers: ["If-None-Match": tag])
            }
            let same = try await again("\"other\", \(tag)")
            #expect(same.status == 304)
            #expect(same.body.isEmpty)
            #expect(same.header("etag") == tag)
            #expect(try await again("*").status == 304)
            #expect(try await again("\"other\"").status == 200)
            let later = try await server.hub.publish("no key", to: "a")
            let stillSame = try await again(tag)
            #expect(stillSame.status == 304)
            #expect(stillSame.header("last-event-id") == later)
            try await server.hub.publish(Event(topic: "a", data: "", key: "x"))
            let changed = try await again(tag)
            #expect(changed.status == 200)
            #expect(changed.header("etag") != tag)
            #expect(!changed.body.contains(#""x""#))
            let head = try await server.request("HEAD", "/state/a")
            #expect(head.status == 200 && head.body.isEmpty)
            #expect(head.header("etag") == changed.header("etag"))
            try await server.hub.publish(Event(topic: "b", data: "3", key: "x"))
            let several = try JSONValue(parsing: try await server.request("GET", "/state/a?topic=b").body.utf8)
            guard case .array(let values)? = several["values"] else {
                Issue.record("It is no array.")
                return
            }
            #expect(values.compactMap { $0["topic"]?.stringValue } == ["a", "b"])
            #expect(values.compactMap { $0["key"]?.stringValue } == ["\"y", "x"])
        }
    }

    @Test("A large state comes in pieces, and only so many at the same time")
    func largeState() async throws {
        let hub = quickHub { $0.concurrentReads = 1 }
        try await TestServer.run(hub: hub) { server in
            let data = String(repeating: "x", count: 50_000)
            var last = ""
            for key in 0..<200 { last = try await server.hub.publish(Event(topic: "a", data: data, key: "\(key)")) }
            let end = try Position(last)
            try await server.until { $0.log.covers($0.end, end) }
            let slow = try await TestConnection(port: server.port)
            try await slow.send("GET /state/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            var received = try #require(try await slow.receive())
            #expect(try await server.request("GET", "/state/a").status == 503)
            #expect(try await server.request("GET", "/state/b").status == 200)
            while let more = try await slow.receive() { received += more }
            let head = TestResponse(String(decoding: received, as: UTF8.self))
            #expect(head.header("transfer-encoding") == "chunked")
            var chunks = ChunkedDecoder(isChunked: true)
            let json = try JSONValue(parsing: try chunks.decode(Array(head.body.utf8)))
            guard case .object(let values)? = json["values"] else {
                Issue.record("It is no object.")
                return
            }
            #expect(values.count == 200)
            #expect(chunks.isAtEnd)
            try await until { try await server.request("HEAD", "/state/a").status == 200 }
        }
    }

    @Test("A topic that has expired is not there")
    func topicThatHasExpired() async throws {
        try await TestServer.run { server in
            #expect(try await server.request("POST", "/events/a?expires=1ms&key=k", body: "1").status == 200)
            try await until { try await server.request("GET", "/history/a").status == 404 }
            #expect(try await server.request("GET", "/state/a").status == 404)
            #expect(try await server.request("GET", "/history/a?topic=b").status == 200)
        }
    }

    @Test("A plain stream has only events, and says the rest in its head")
    func plainStream() async throws {
        try await TestServer.run { server in
            let path = "/events/a?profile=plain"
            try await server.hub.publish(Event(topic: "a", data: "1", id: "one"))
            let source = try await TestEventSource(port: server.port, path: "\(path)&lastEventID=earliest")
            #expect(try await source.next()?.data == "1")
            try await server.hub.publish(Event(topic: "a", data: "2", id: "two"))
            #expect(try await source.next()?.data == "2")
            try await server.hub.close("a")
            #expect(try await source.next() == nil)
            let text = String(decoding: source.body, as: UTF8.self)
            #expect(text == ":\nretry: 0\n\nid: one\ndata: 1\n\nid: two\ndata: 2\n\nretry: 0\n\n")
            let late = try await server.request("GET", path)
            #expect(late.status == 204)
            #expect(late.header("martlet-end") == "closed")
            #expect(try await server.request("GET", path, headers: ["Last-Event-ID": "two"]).status == 204)
            let rest = try await server.request("GET", path, headers: ["Last-Event-ID": "one"])
            #expect(rest.status == 200)
            #expect(rest.body.contains("data: 2") && !rest.body.contains("data: 1") && !rest.body.contains("event:"))
            #expect(rest.header("martlet-end") == "closed")
            let lost = try await server.request("GET", path, headers: ["Last-Event-ID": "nonsense"])
            #expect(lost.header("martlet-gap") == "unknown")
            let both = try await TestEventSource(port: server.port, path: "\(path)&topic=b/c")
            #expect(TestResponse(both.head + "\r\n\r\n").header("martlet-end") == "some; topics=\"a\"")
            // The usual profile tells it in the stream.
            let usual = try await server.request("GET", "/events/a")
            #expect(usual.status == 200)
            #expect(usual.body.contains("event: end"))
        }
    }

    @Test("A heartbeat may be an event")
    func heartbeatMayBeAnEvent() async throws {
        let hub = quickHub { $0.heartbeat = .milliseconds(20) }
        try await TestServer.run(hub: hub) { server in
            let id = try await server.hub.publish("1", to: "b")
            let source = try await TestEventSource(port: server.port, path: "/events/a?heartbeat=event")
            let beat = try await source.next()
            #expect(beat?.event == "heartbeat")
            #expect(beat?.data == "{}")
            #expect(beat?.id == id)
        }
    }
}

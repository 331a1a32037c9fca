// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Hummingbird
import Martlet
import MartletHTTP
import MartletMercure
import MartletTesting
import TestSupport
import Testing

@Suite struct MercureSubscribeTests {
    @Test(
        "Topics are selected by name, by template, or all",
        arguments: [
            ("topic=*", ["a", "b/1", "c"]), ("topic=b/%7Bid%7D", ["b/1"]), ("topic=a&topic=c", ["a", "c"]),
            ("topic=b/%7Bid&topic=c", ["c"]), ("topic=%7Bx%7D", ["a", "c"]), ("topic=A&topic=b/1", ["b/1"]),
        ])
    func topicsAreSelectedByName(query: String, topics: [String]) async throws {
        try await MercureServer.run { mercure in
            let source = try await mercure.listen(query)
            for topic: Topic in ["a", "b/1", "c"] { try await mercure.hub.publish(topic.name, to: topic) }
            #expect(try await source.data(of: topics.count) == topics)
        }
    }

    @Test("A stream begins with a comment and the id of its place")
    func streamBeginsWithAComment() async throws {
        try await MercureServer.run { mercure in
            let before = try await mercure.hub.publish("before", to: "a")
            try await mercure.server.until { $0.end.text == before }
            let source = try await mercure.listen("topic=a")
            #expect(source.header("content-type") == "text/event-stream")
            #expect(source.header("cache-control") == "no-cache, no-transform")
            #expect(try await source.nextElement() == .comment(""))
            #expect(try await source.nextID() == source.header("last-event-id"))
            try await mercure.hub.publish("after", to: "a")
            #expect(try await source.next()?.data == "after")
        }
    }

    @Test(
        "Bad queries are refused with a problem document that names the field",
        arguments: [
            ("", "topic"), ("?topic=", "topic"), ("?topic=%00", "topic"), ("?topic=%zz", "topic"),
            ("?topic=\(String(repeating: "t", count: 1025))", "topic"),
            ("?" + (0...1000).map { "topic=\($0)" }.joined(separator: "&"), "topic"), ("?match=a", "match"),
            ("?topic=a&match_exact=b", "match_exact"), ("?topic=a&lastEventID=%0A", "lastEventID"),
            ("?topic=a&stream=", "stream"), ("?topic=a&since=yesterday", "since"), ("?topic=a&since=", "since"),
        ])
    func badQueriesAreRefused(
        query: String, field: String
    ) async throws {
        try await MercureServer.run { mercure in
            let response = try await mercure.request("GET", query)
            #expect(response.status == 400)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.body.contains("\"field\":\"\(field)\""), "\(response.body)")
            #expect(try await mercure.request("HEAD", query).status == 400)
        }
    }

    @Test("The bound on topics is the hub's")
    func boundOnTopics() async throws {
        try await MercureServer.run(hub: quickHub { $0.limits.topicsPerSubscription = 2 }) { mercure async throws in
            #expect(try await mercure.request("HEAD", "?topic=a&topic=b").status == 200)
            #expect(try await mercure.request("HEAD", "?topic=a&topic=b&topic=c").status == 400)
        }
    }

    @Test("A thousand topics fit into a subscription, and each of them is delivered")
    func thousandTopicsFitInto() async throws {
        try await MercureServer.run { mercure in
            let topics = (0..<1000).map { $0.isMultiple(of: 2) ? "topic=\($0)" : "topic=\($0)/%7Bx%7D" }
            let source = try await mercure.listen(topics.joined(separator: "&"))
            for (topic, data) in [("0", "first"), ("998", "exact"), ("999/a", "template"), ("1001/a", "other")] {
                #expect(try await mercure.post("topic=\(topic)&data=\(data)").status == 200)
            }
            #expect(try await mercure.post("topic=2&data=last").status == 200)
            #expect(try await source.data(of: 4) == ["first", "exact", "template", "last"])
        }
    }

    @Test("A template more than the hub takes of those with the same text is refused")
    func templateMoreThanTheHub() async throws {
        try await MercureServer.run(hub: quickHub { $0.limits.templatesAlike = 2 }) { mercure in
            let source = try await mercure.listen("topic=%7Ba%7D/orders&topic=%7B%2Bb%7D/orders&topic=%7Bb%7D/bills")
            for method in ["GET", "HEAD"] {
                let response = try await mercure.request(method, "?topic=x&topic=%7Bc%7D/orders")
                #expect(response.status == 400)
                if method == "GET" { #expect(response.body.contains(#""field":"topic""#)) }
            }
            #expect(try await mercure.request("HEAD", "?topic=%7Ba%7D/orders&topic=%7Bc%7D/bills").status == 200)
            try await source.connection.close()
            try await mercure.server.until { $0.feedCount == 0 }
            #expect(try await mercure.request("HEAD", "?topic=%7Bc%7D/orders").status == 200)
        }
    }

    @Test("The right to subscribe is checked before the topics")
    func whoMaySubscribeIsAsked() async throws {
        let grants = ["narrow": Grant(subscribe: ["a", "b/{id}"].selectors)]
        try await MercureServer.run(grants: grants, anonymous: nil) { mercure in
            for (query, token) in [("", nil), ("?topic=a", nil), ("?topic=%", "unknown"), ("?topic=c", "narrow")] {
                let response = try await mercure.request("GET", query, token: token)
                #expect(response.status == 401, "\(query)")
                #expect(response.header("www-authenticate") == "Bearer")
                #expect(response.header("content-type") == "application/problem+json")
            }
            #expect(try await mercure.request("HEAD", "?topic=a&topic=b/1", token: "narrow").status == 200)
        }
    }

    @Test("Private updates reach only who has a right to one of their topics, live and from history")
    func privateUpdatesReach() async throws {
        let grants = [
            "a": Grant(subscribe: ["a"].selectors, seesAllPublic: true),
            "alternates": Grant(subscribe: ["alternate/{id}"].selectors, seesAllPublic: true),
            "b": Grant(subscribe: ["b"].selectors, seesAllPublic: true),
            "none": Grant(seesAllPublic: true),
        ]
        let expected: [String?: [String?]] = [
            nil: ["open"], "none": ["open"], "b": ["open"], "a": ["both", "one", "open"],
            "alternates": ["both", "open"], "all": ["both", "one", "open"],
        ]
        try await MercureServer.run(grants: grants) { mercure in
            var live: [String?: TestEventSource] = [:]
            for token in expected.keys { live[token] = try await mercure.listen("topic=a", token: token) }
            let both = "topic=a&topic=alternate/1&data=both&private=on"
            for form in [both, "topic=a&data=one&private", "topic=a&data=open"] {
                #expect(try await mercure.post(form).status == 200)
            }
            for (token, data) in expected {
                #expect(try await live[token]?.data(of: data.count) == data, "\(token ?? "anonymous")")
                let replayed = try await mercure.listen("topic=a", token: token, lastEventID: "earliest")
                #expect(try await replayed.data(of: data.count) == data, "\(token ?? "anonymous")")
            }
        }
    }

    @Test("History comes before what is live, in order")
    func historyComesBefore() async throws {
        try await MercureServer.run { mercure in
            for number in 0..<1500 { try await mercure.hub.publish("\(number)", to: "a") }
            let source = try await mercure.listen("topic=a&topic=b&lastEventID=earliest")
            #expect(source.header("last-event-id") == "earliest")
            for number in 1500..<1600 {
                try await mercure.hub.publish("\(number)", to: number.isMultiple(of: 2) ? "a" : "b")
            }
            #expect(try await source.data(of: 1600) == (0..<1600).map { "\($0)" })
        }
    }

    @Test("The head says after which id the stream goes on")
    func headSaysAfterWhichId() async throws {
        try await MercureServer.run { mercure in
            let own = try await mercure.hub.publish(Event(topic: "a", data: "1", id: "my own"))
            let generated = try await mercure.hub.publish("2", to: "a")
            try await mercure.hub.publish("3", to: "a")
            for (id, data) in [(own, "2"), (generated, "3")] {
                let byHeader = try await mercure.listen("topic=a&lastEventID=other", lastEventID: id)
                #expect(byHeader.header("last-event-id") == id)
                #expect(byHeader.header("martlet-gap") == nil)
                #expect(try await byHeader.next()?.data == data)
                let query = "topic=a&lastEventID=" + id.replacing(" ", with: "+")
                #expect(try await mercure.request("HEAD", "?" + query).header("last-event-id") == id)
                #expect(try await mercure.listen(query).next()?.data == data)
            }
        }
    }

    @Test("A stream may begin with what was published lately, and an id wins")
    func streamMayBegin() async throws {
        let clock = ManualClock()
        try await MercureServer.run(hub: quickHub(clock: clock)) { mercure in
            let old = try await mercure.hub.publish("old", to: "a")
            clock.advance(by: .seconds(7200))
            let new = try await mercure.hub.publish("new", to: "a")
            for since in ["1h", Date(timeIntervalSinceNow: -3600).formatted(.iso8601)] {
                let source = try await mercure.listen("topic=%7Bx%7D&since=\(since)")
                #expect(source.header("last-event-id") == old)
                #expect(source.header("martlet-gap") == nil)
                #expect(try await source.next()?.data == "new")
            }
            #expect(try await mercure.listen("topic=a&since=3h&lastEventID=").data(of: 2) == ["old", "new"])
            let resumed = [
                try await mercure.listen("topic=a&since=3h", lastEventID: new),
                try await mercure.listen("topic=a&since=3h&lastEventID=\(new)"),
            ]
            try await mercure.hub.publish("live", to: "a")
            for source in resumed { #expect(try await source.next()?.data == "live") }
        }
    }

    @Test("A stream that cannot begin so early begins with a gap and all of history")
    func streamThatCannotBeginSo() async throws {
        try await MercureServer.run(hub: quickHub(retention: Retention(events: 2))) { mercure in
            for data in ["1", "2"] { try await mercure.hub.publish(data, to: "a") }
            let last = try await mercure.hub.publish("3", to: "a")
            // What the hub has not read yet is not removed.
            try await mercure.server.until { $0.end.text == last }
            let source = try await mercure.listen("topic=a&since=1h")
            #expect(source.header("last-event-id") == "earliest")
            #expect(source.header("martlet-gap") == "trimmed")
            #expect(try await source.next()?.event == "gap")
            #expect(try await source.data(of: 2) == ["2", "3"])
        }
    }

    @Test("An unknown id is a gap, and all of history follows", arguments: [0, 2])
    func unknownIdIsAGap(published: Int) async throws {
        try await MercureServer.run { mercure in
            for number in 0..<published { try await mercure.hub.publish("\(number)", to: "a") }
            let source = try await mercure.listen("topic=a&lastEventID=unknown")
            #expect(source.header("last-event-id") == "earliest")
            #expect(source.header("martlet-gap") == "unknown")
            #expect(try await source.next()?.event == "gap")
            try await mercure.hub.publish("live", to: "a")
            let data = (0..<published).map { "\($0)" } + ["live"]
            #expect(try await source.data(of: data.count) == data)
        }
    }

    @Test(
        "The id of a private update reaches no client that may not see it",
        arguments: ["&lastEventID=", "&lastEventID=unknown", "&lastEventID=private-id", "&lastEventID=earliest"])
    func idOfAPrivateUpdate(cursor: String) async throws {
        try await MercureServer.run { mercure in
            try await mercure.hub.publish(Event(topic: "a", data: "secret", id: "private-id", isPrivate: true))
            let source = try await mercure.listen("topic=a" + cursor)
            try await mercure.hub.publish("open", to: "a")
            while try await source.next()?.data != "open" {}
            let seen = source.head + String(decoding: source.body, as: UTF8.self)
            #expect(!seen.contains("private-id") && !seen.contains("secret"))
            let other = try await mercure.request("HEAD", "?topic=a&lastEventID=unknown")
            let known = try await mercure.request("HEAD", "?topic=a&lastEventID=private-id")
            #expect(known.header("martlet-gap") == other.header("martlet-gap"))
            #expect(known.header("last-event-id") == other.header("last-event-id"))
        }
    }

    @Test("An empty id is none")
    func emptyIdIsNone() async throws {
        try await MercureServer.run { mercure in
            let id = try await mercure.hub.publish("before", to: "a")
            // Without an id a stream begins behind what the hub has read of its log.
            try await mercure.server.until { $0.end.text == id }
            let source = try await mercure.listen("topic=a&lastEventID=")
            #expect(source.header("last-event-id") == id)
            #expect(source.header("martlet-gap") == nil)
            try await mercure.hub.publish("after", to: "a")
            #expect(try await source.next()?.data == "after")
        }
    }

    @Test("HEAD answers the head of the stream and ends")
    func headAnswersTheHead() async throws {
        try await MercureServer.run { mercure in
            let response = try await mercure.request("HEAD", "?topic=a")
            #expect(response.status == 200)
            #expect(response.header("content-type") == "text/event-stream")
            #expect(response.header("last-event-id") == mercure.hub.end.text)
            #expect(response.header("content-length") == nil)
            #expect(response.body.isEmpty)
            try await mercure.server.until { $0.feedCount == 0 }
        }
    }

    @Test("OPTIONS needs no credentials, and other methods are refused")
    func optionsNeedsNoCredentials() async throws {
        try await MercureServer.run(anonymous: nil) { mercure in
            let options = try await mercure.request("OPTIONS", "")
            #expect(options.status == 204)
            #expect(options.header("allow") == "GET, HEAD, OPTIONS, POST")
            let put = try await mercure.request("PUT", "?topic=a")
            #expect(put.status == 405)
            #expect(put.header("allow") == "GET, HEAD, OPTIONS, POST")
        }
    }

    @Test("Pages of an allowed origin may read the answer and its id")
    func pagesOfAnAllowedOrigin() async throws {
        let origin = ["Origin": "https://app.example"]
        let allowed = try #require(OriginPattern("https://app.example"))
        try await MercureServer.run(anonymous: nil) {
            $0.add(middleware: CrossOriginMiddleware(allowing: [allowed]))
        } _: { mercure in
            let stream = try await mercure.request("HEAD", "?topic=a", token: "all", headers: origin)
            let refusal = try await mercure.request("GET", "?topic=a", headers: origin)
            #expect(stream.status == 200 && refusal.status == 401)
            for response in [stream, refusal] {
                #expect(response.header("access-control-allow-origin") == "https://app.example")
                #expect(response.header("access-control-expose-headers")?.contains("Last-Event-ID") == true)
                #expect(response.header("access-control-expose-headers")?.contains("Link") == true)
            }
            let asked = origin.merging(["Access-Control-Request-Method": "GET"]) { $1 }
            let preflight = try await mercure.request("OPTIONS", "", headers: asked)
            #expect(preflight.status == 204)
            #expect(preflight.header("access-control-allow-methods") == "GET, HEAD, OPTIONS, POST")
            let headers = preflight.header("access-control-allow-headers") ?? ""
            for name in ["authorization", "cache-control", "idempotency-key", "last-event-id"] {
                #expect(headers.contains(name))
            }
        }
    }

    @Test("A stream ends with the right to it", arguments: [0, 2])
    func streamEndsWithTheRight(shards: Int) async throws {
        let grants = ["short": Grant(seesAllPublic: true, end: Date(timeIntervalSinceNow: 0.5))]
        try await MercureServer.run(hub: quickHub { $0.shards = shards }, grants: grants) { mercure in
            let source = try await mercure.listen("topic=a", token: "short")
            #expect(try await source.next() == nil)
            try await mercure.server.until { $0.streamCount == 0 }
        }
    }

    @Test("Streams of a principal can be revoked")
    func streamsOfAPrincipalCan() async throws {
        let grants = ["alice": Grant(principal: "alice", seesAllPublic: true)]
        try await MercureServer.run(grants: grants) { mercure in
            let source = try await mercure.listen("topic=a&stream=tab", token: "alice")
            #expect(mercure.hub.revoke("alice") == 1)
            #expect(try await source.next() == nil)
        }
    }
}

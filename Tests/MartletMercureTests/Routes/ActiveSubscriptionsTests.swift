// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Martlet
import MartletHTTP
import MartletTesting
import TestSupport
import Testing

@testable import MartletMercure

@Suite struct ActiveSubscriptionsTests {
    private static let root = "/.well-known/mercure/subscriptions"
    private static let everySubscription = root + "{/topic}{/subscriber}"
    /// The same in a query.
    private static let watching = "topic=/.well-known/mercure/subscriptions%7B/topic%7D%7B/subscriber%7D"

    private typealias Document = SubscriptionJSON

    private static func document(_ text: String?) throws -> Document { try Document(text) }

    /// A server that tells of subscriptions, and a client that watches them and has seen itself.
    private static func run(
        hub: Hub = quickHub(), grants: [String: Grant] = [:], maximumListBytes: Int = MercureOptions().maximumListBytes,
        _ body: @Sendable @escaping (MercureServer, TestEventSource) async throws -> Void
    ) async throws {
        var options = MercureOptions()
        options.activeSubscriptions = true
        options.maximumListBytes = maximumListBytes
        let watcher = Grant(subscribe: [everySubscription].selectors, seesAllPublic: true)
        let grants = ["watcher": watcher].merging(grants) { $1 }
        try await MercureServer.run(hub: hub, grants: grants, options: options) { mercure in
            let source = try await mercure.listen(watching, token: "watcher")
            let own = try document(try await source.next()?.data)
            #expect(own.topic == everySubscription && own.active == true)
            try await body(mercure, source)
        }
    }

    @Test("Each topic of a stream is announced when it begins and when its client leaves", arguments: [0, 2])
    func eachTopicOfAStream(shards: Int) async throws {
        let payload = Grant(seesAllPublic: true, payload: #"{"name":"Ada","team":"{}"}"#)
        try await Self.run(hub: quickHub { $0.shards = shards }, grants: ["ada": payload]) { mercure, watcher in
            let source = try await mercure.listen("topic=a/1&topic=b/%7Bid%7D&topic=a/1", token: "ada")
            var began: [Document] = []
            for _ in 0..<2 {
                let event = try await watcher.next()
                #expect(event?.event == nil)
                began.append(try Self.document(event?.data))
            }
            #expect(began.map(\.topic) == ["a/1", "b/{id}"])
            let subscriber = try #require(began[0].subscriber)
            #expect(subscriber.hasPrefix("urn:uuid:"))
            let encoded = subscriber.replacing(":", with: "%3A")
            #expect(
                began[0]
                    == Document(
                        id: "\(Self.root)/a%2F1/\(encoded)", type: "Subscription", subscriber: subscriber,
                        topic: "a/1", active: true, payload: ["name": "Ada", "team": "{}"]))
            #expect(began[1].subscriber == subscriber)
            #expect(began[1].id == "\(Self.root)/b%2F%7Bid%7D/\(encoded)")
            try await source.connection.close()
            for document in began {
                var ended = document
                ended.active = false
                #expect(try Self.document(try await watcher.next()?.data) == ended)
            }
        }
    }

    @Test("Only who has a right to it hears of a subscription")
    func onlyWhoHasARight() async throws {
        let grants = [
            "some": Grant(subscribe: [Self.root + "/a{/subscriber}"].selectors, seesAllPublic: true)
        ]
        try await Self.run(grants: grants) { mercure, _ in
            let anonymous = try await mercure.listen(Self.watching + "&topic=*")
            let some = try await mercure.listen(Self.watching + "&topic=*", token: "some")
            for query in ["topic=b", "topic=a"] { _ = try await mercure.listen(query) }
            try await mercure.hub.publish("public", to: "x")
            #expect(try await anonymous.next()?.data == "public")
            #expect(try Self.document(try await some.next()?.data).topic == "a")
            #expect(try await some.next()?.data == "public")
        }
    }

    @Test("A subscription that was not made is not announced")
    func subscriptionThatWasNotMade() async throws {
        let grants = ["narrow": Grant(subscribe: ["a"].selectors)]
        try await Self.run(hub: quickHub { $0.limits.topicsPerSubscription = 2 }, grants: grants) { mercure, watcher in
            #expect(try await mercure.request("HEAD", "?topic=head").status == 200)
            #expect(try await mercure.request("GET", "?topic=many&topic=b&topic=c").status == 400)
            #expect(try await mercure.request("GET", "?topic=name&stream=").status == 400)
            #expect(try await mercure.request("GET", "?topic=right", token: "narrow").status == 401)
            _ = try await TestEventSource(port: mercure.server.port, path: "/events/other-route")
            _ = try await mercure.listen("topic=made")
            #expect(try Self.document(try await watcher.next()?.data).topic == "made")
        }
    }

    @Test("A client that a draining hub sends away is not announced")
    func whoIsSentAway() async throws {
        try await Self.run(hub: quickHub { $0.grace = .seconds(3600) }) { mercure, watcher in
            mercure.hub.beginDrain()
            let answer = try await mercure.request("GET", "?topic=a")
            #expect(answer.status == 200)
            let later = try await mercure.request("GET", "/subscriptions", token: "watcher")
            #expect(try Self.document(later.body).subscriptions?.map(\.topic) == [Self.everySubscription])
            await mercure.hub.announce([
                Event(topic: "/.well-known/mercure/subscriptions/last/x", data: "last", isPrivate: true)
            ])
            #expect(try await watcher.next()?.data == "last")
            try await watcher.connection.close()
        }
    }

    @Test("Any end of a stream ends its subscriptions", arguments: [0, 2])
    func whateverEndsAStreamEnds(shards: Int) async throws {
        let grants = [
            "alice": Grant(principal: "alice", seesAllPublic: true),
            "short": Grant(seesAllPublic: true, end: Date(timeIntervalSinceNow: 1)),
        ]
        try await Self.run(hub: quickHub { $0.shards = shards }, grants: grants) { mercure, watcher in
            func nextTopic(active: Bool) async throws -> String? {
                let document = try Self.document(try await watcher.next()?.data)
                #expect(document.active == active)
                return document.topic
            }
            let revoked = try await mercure.listen("topic=revoked", token: "alice")
            #expect(try await nextTopic(active: true) == "revoked")
            mercure.hub.revoke("alice")
            #expect(try await revoked.next() == nil)
            try await revoked.connection.close()
            #expect(try await nextTopic(active: false) == "revoked")

            let reset = try await mercure.listen("topic=reset")
            #expect(try await nextTopic(active: true) == "reset")
            try await reset.connection.reset()
            #expect(try await nextTopic(active: false) == "reset")

            let expired = try await mercure.listen("topic=expired", token: "short")
            #expect(try await nextTopic(active: true) == "expired")
            #expect(try await expired.next() == nil)
            try await expired.connection.close()
            #expect(try await nextTopic(active: false) == "expired")
        }
    }

    @Test("Clients that leave before their streams are open leave nothing behind", arguments: [0, 2])
    func clientsThatLeaveBeforeTheir(shards: Int) async throws {
        try await Self.run(hub: quickHub { $0.shards = shards }) { mercure, watcher in
            for number in 0..<60 {
                let connection = try await TestConnection(port: mercure.server.port)
                try await connection.send(
                    "GET /.well-known/mercure?topic=\(number) HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if number.isMultiple(of: 2) { try await connection.reset() } else { try await connection.close() }
            }
            try await mercure.server.until { $0.streamCount == 1 }
            let last = try await mercure.listen("topic=last")
            var open: Set<String> = []
            var sawLast = false
            while !sawLast || open.count > 1 {
                let document = try Self.document(try await watcher.next()?.data)
                let subscriber = try #require(document.subscriber)
                if document.active == true {
                    #expect(open.insert(subscriber).inserted)
                } else {
                    #expect(open.remove(subscriber) != nil)
                }
                sawLast = sawLast || document.topic == "last"
            }
            // Another event loop may be late with a connection that came before.
            try await TestConnection.withPatience {
                var topics: [String] = []
                while topics != [Self.everySubscription, "last"] {
                    let all = try await mercure.request("GET", "/subscriptions", token: "watcher")
                    topics = try Self.document(all.body).subscriptions?.compactMap(\.topic) ?? []
                }
            }
            try await last.connection.close()
        }
    }

    @Test("Subscriptions are not in history, and their ids resume")
    func subscriptionsAreNotInHistory() async throws {
        try await Self.run { mercure, watcher in
            let first = try await mercure.hub.publish("1", to: "a")
            try await mercure.server.until { $0.end.text == first }
            let source = try await mercure.listen("topic=a")
            let id = try #require(try await watcher.next()?.id)
            #expect(id == first)
            try await mercure.hub.publish("2", to: "a")
            let all = try await mercure.listen("topic=*&lastEventID=earliest", token: "all")
            // Besides what is in history it hears of itself, as everybody does who may.
            #expect(try await all.data(of: 2) == ["1", "2"])
            #expect(try Self.document(try await all.next()?.data).topic == "*")
            let resumed = try await mercure.listen("topic=a", lastEventID: id)
            #expect(resumed.header("martlet-gap") == nil)
            #expect(try await resumed.next()?.data == "2")
            try await source.connection.close()
        }
    }

    @Test("The subscriptions document lists the subscribers")
    func whoAsksIsTold() async throws {
        try await Self.run(grants: ["ada": Grant(seesAllPublic: true, payload: #"{"name":"Ada"}"#)]) { mercure, _ in
            let end = try await mercure.hub.publish("1", to: "x")
            _ = try await mercure.listen("topic=a/1&topic=b", token: "ada")
            _ = try await mercure.listen("topic=a/1")
            try await mercure.server.until { $0.end.text == end }
            func get(_ path: String) async throws -> TestResponse {
                try await mercure.request("GET", "/subscriptions\(path)", token: "watcher")
            }
            let all = try await get("")
            #expect(all.status == 200)
            #expect(all.header("content-type") == "application/ld+json")
            let list = try Self.document(all.body)
            #expect(list.id == Self.root && list.type == "Subscriptions" && list.lastEventID == end)
            #expect(list.subscriptions?.map(\.topic) == [Self.everySubscription, "a/1", "b", "a/1"])
            #expect(list.subscriptions?.map(\.payload?["name"]) == [nil, "Ada", "Ada", nil])
            #expect(list.subscriptions?.allSatisfy { $0.active == true && $0.type == "Subscription" } == true)

            let some = try Self.document(try await get("/a%2F1").body)
            #expect(some.id == Self.root + "/a%2F1")
            #expect(some.subscriptions == list.subscriptions?.filter { $0.topic == "a/1" })
            #expect(try Self.document(try await get("/none").body).subscriptions == [])

            var expected = try #require(list.subscriptions?[1])
            let path = String(expected.id.dropFirst(Self.root.count))
            expected.lastEventID = end
            for spelling in [path, path.replacing("%2F", with: "%2f"), path.replacing("%3A", with: ":")] {
                #expect(try Self.document(try await get(spelling).body) == expected)
            }
            #expect(try await mercure.request("HEAD", "/subscriptions", token: "watcher").body.isEmpty)
        }
    }

    @Test(
        "An unknown subscription is not found",
        arguments: [
            "/a/urn%3Auuid%3A1", "/a/1/2", "/a//1", "/%zz", "/%FF", "//a",
        ])
    func whatIsNotThere(path: String) async throws {
        try await Self.run { mercure, _ in
            _ = try await mercure.listen("topic=a")
            let response = try await mercure.request("GET", "/subscriptions\(path)", token: "watcher")
            #expect(response.status == 404)
            #expect(response.header("content-type") == "application/problem+json")
        }
    }

    @Test("Reading needs a grant for the path")
    func readingNeedsAGrant() async throws {
        let one = Grant(subscribe: [Self.root + "/a"].selectors, seesAllPublic: true)
        try await Self.run(grants: ["one": one]) { mercure, _ in
            for (path, token, status) in [
                ("", nil, 401), ("", "unknown", 401), ("", "one", 401), ("/a", "one", 200), ("/%61", "one", 200),
                ("/a/x", "one", 401), ("/b", "one", 401), ("/a", nil, 401), ("", "watcher", 200), ("/a", "all", 200),
            ] {
                let response = try await mercure.request("GET", "/subscriptions\(path)", token: token)
                #expect(response.status == status, "\(path) \(token ?? "")")
                if status == 401 { #expect(response.header("www-authenticate") == "Bearer") }
            }
            #expect(try await mercure.request("POST", "/subscriptions", token: "all").status == 405)
        }
    }

    @Test("A list says that nothing was published until something was")
    func listSaysThatNothing() async throws {
        try await Self.run { mercure, _ in
            func lastEventID(_ path: String = "") async throws -> String? {
                try Self.document(try await mercure.request("GET", "/subscriptions\(path)", token: "watcher").body)
                    .lastEventID
            }
            #expect(try await lastEventID() == "earliest")
            #expect(try await lastEventID("/none") == "earliest")
            let id = try await mercure.hub.publish("1", to: "a")
            try await mercure.server.until { $0.end.text == id }
            #expect(try await lastEventID() == id)
        }
    }

    @Test("Clients that may see no private events receive no announcement, and the hub goes on")
    func whoMaySeeNoPrivate() async throws {
        var options = MercureOptions()
        options.activeSubscriptions = true
        try await MercureServer.run(options: options) { mercure in
            let source = try await mercure.listen(Self.watching + "&topic=*")
            try await mercure.listen("topic=a").connection.close()
            try await mercure.server.until { $0.streamCount == 1 }
            try await mercure.hub.publish("public", to: "x")
            #expect(try await source.next()?.data == "public")
        }
    }

    @Test("Clients that watch their own subscriptions hear of them and of no others")
    func clientsThatWatchTheirOwn() async throws {
        let grants = Dictionary(
            uniqueKeysWithValues: (0..<5).map { user in
                (
                    "\(user)",
                    Grant(subscribe: [Self.root + "/users%2F\(user)%2F{x}{/subscriber}"].selectors, seesAllPublic: true)
                )
            })
        try await Self.run(grants: grants) { mercure, watcher in
            for user in 0..<5 {
                let source = try await mercure.listen("topic=users/\(user)/a&" + Self.watching, token: "\(user)")
                let own = try Self.document(try await source.next()?.data)
                #expect(own.topic == "users/\(user)/a" && own.active == true)
                #expect(try Self.document(try await watcher.next()?.data) == own)
                #expect(try Self.document(try await watcher.next()?.data).topic == Self.everySubscription)
            }
        }
    }

    @Test("An answer that would be too large is refused")
    func answerThatWouldBeToo() async throws {
        let subscriber = "urn:uuid:00000000-0000-4000-8000-000000000000"
        let own = SubscriptionDocument(selector: Self.everySubscription, subscriber: subscriber, isActive: true)
        #expect(own.json.utf8.count <= own.mostBytes)
        for (bytes, status) in [(own.mostBytes, 200), (own.mostBytes - 1, 503)] {
            try await Self.run(maximumListBytes: bytes) { mercure, _ in
                let response = try await mercure.request("GET", "/subscriptions", token: "watcher")
                #expect(response.status == status)
            }
        }
    }

    @Test("An answer that has not changed is not sent again")
    func answerThatHasNotChanged() async throws {
        try await Self.run { mercure, watcher in
            func get(_ tag: String = "") async throws -> TestResponse {
                let headers = tag.isEmpty ? [:] : ["If-None-Match": tag]
                return try await mercure.request("GET", "/subscriptions", token: "watcher", headers: headers)
            }
            let tag = try #require(try await get().header("etag"))
            let same = try await get("\"x\", W/\(tag)")
            #expect(same.status == 304 && same.body.isEmpty)
            #expect(same.header("etag") == tag)
            let source = try await mercure.listen("topic=a")
            let changed = try await get(tag)
            #expect(changed.status == 200)
            #expect(changed.header("etag") != tag)
            try await source.connection.close()
            // Began and ended.
            _ = try await watcher.data(of: 2)
            #expect(try await get(tag).status == 304)
        }
    }

    @Test("Without the option, nothing is announced")
    func unlessItIsAsked() async throws {
        try await MercureServer.run { mercure in
            let watcher = try await mercure.listen(Self.watching + "&topic=x", token: "all")
            _ = try await mercure.listen("topic=a")
            try await mercure.hub.publish("1", to: "x")
            #expect(try await watcher.next()?.data == "1")
            #expect(try await mercure.request("GET", "/subscriptions", token: "all").status == 404)
        }
    }
}

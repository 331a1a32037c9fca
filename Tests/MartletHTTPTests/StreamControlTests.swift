// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import HTTPTypes
import Hummingbird
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletHTTP

/// Believes whatever the header `X-Who` says, and grants what this says.
private func access(
    _ grant: @escaping @Sendable (String) -> Grant
) -> Access<BasicEventStreamRequestContext> {
    Access { request, _, _ in
        guard let who = request.headers[HTTPField.Name("X-Who")!] else { throw Problem(.unauthorized, "Who?") }
        return grant(who)
    }
}

@Suite(.serialized) struct StreamControlTests {
    private static let selector = TopicSelector("orders/{id}")

    private func open(_ server: TestServer, _ path: String, as who: String) async throws -> TestEventSource {
        try await TestEventSource(port: server.port, path: path, headers: ["X-Who": who])
    }

    private func isEnded(_ source: TestEventSource) async throws {
        while try await source.nextElement() != nil {}
        try await source.connection.close()
    }

    @Test("A stream ends when its grant does, and says when to come back", arguments: [0, 2])
    func streamEndsWhenItsGrant(shards: Int) async throws {
        let hub = quickHub { $0.shards = shards }
        let short = access { Grant(principal: $0, seesAllPublic: true, end: Date(timeIntervalSinceNow: 0.3)) }
        try await TestServer.run(hub: hub, access: short) { server in
            let source = try await open(server, "/events/a", as: "alice")
            try await isEnded(source)
            try await server.until { $0.streamCount == 0 }
        }
    }

    @Test("Revoking ends the open streams of a principal at once", arguments: [0, 2])
    func revokingEndsTheOpenStreams(shards: Int) async throws {
        let hub = quickHub { $0.shards = shards }
        let all = access { Grant(principal: $0, seesAllPublic: true, publish: $0 == "root" ? [.every] : []) }
        try await TestServer.run(hub: hub, access: all) { server in
            let alice = try await open(server, "/events/a", as: "alice")
            let bob = try await open(server, "/events/a", as: "bob")
            try await server.until { $0.streamCount == 2 }
            let refused = try await server.request("POST", "/revoke?principal=alice", headers: ["X-Who": "bob"])
            #expect(refused.status == 403)
            let empty = try await server.request("POST", "/revoke", headers: ["X-Who": "root"])
            #expect(empty.status == 400)
            for several in ["principal=alice&principal=bob", "principal="] {
                let unclear = try await server.request("POST", "/revoke?\(several)", headers: ["X-Who": "root"])
                #expect(unclear.status == 400)
            }
            let answer = try await server.request("POST", "/revoke?principal=alice", headers: ["X-Who": "root"])
            #expect(answer.body == "{\"ended\":1}\n")
            try await isEnded(alice)
            try await server.until { $0.streamCount == 1 }
            try await hub.publish("on", to: "a")
            #expect(try await bob.next()?.data == "on")
        }
    }

    @Test("A stream is renewed in place by a request with new credentials", arguments: [0, 2])
    func streamIsRenewedInPlace(shards: Int) async throws {
        let hub = quickHub { $0.shards = shards }
        let ends = access { who in
            // The credentials of whoever is called old are nearly at their end.
            let name = who.split(separator: " ")
            let end = Date(timeIntervalSinceNow: name.contains("old") ? 4 : 3600)
            let grants: Set<TopicSelector> = name.contains("more") ? [Self.selector] : []
            return Grant(principal: "\(name[0])", subscribe: grants, seesAllPublic: true, end: end)
        }
        try await TestServer.run(hub: hub, access: ends) { server in
            let kept = try await open(server, "/events/a?stream=tab%201", as: "alice old")
            let left = try await open(server, "/events/a?stream=other", as: "alice old")
            try await server.until { $0.streamCount == 2 }
            func renew(_ name: String, as who: String) async throws -> TestResponse {
                try await server.request("POST", "/streams/\(name)", headers: ["X-Who": who])
            }
            #expect(try await renew("tab%201", as: "bob").status == 404)
            #expect(try await renew("nothing", as: "alice").status == 404)
            #expect(try await renew("tab%201", as: "alice").body == "{\"renewed\":1,\"ended\":0}\n")
            // The other is what shows that the time has passed.
            try await isEnded(left)
            try await hub.publish("on", to: "a")
            #expect(try await kept.next()?.data == "on")
            #expect(try await renew("tab%201", as: "alice more").body == "{\"renewed\":0,\"ended\":1}\n")
            try await isEnded(kept)
        }
    }

    @Test("The name of a stream is bounded")
    func nameOfAStream() async throws {
        try await TestServer.run { server in
            let longest = String(repeating: "x", count: 128)
            for (name, status) in [(longest, 200), (longest + "x", 400), ("", 400)] {
                let answer = try await server.request("HEAD", "/events/a?stream=\(name)")
                #expect(answer.status == status)
            }
        }
    }

    @Test("A ticket opens one stream, of the topics it was given out for, with its owner's rights")
    func ticketOpensOneStream() async throws {
        let hub = quickHub()
        let some = access { Grant(principal: $0, subscribe: [Self.selector]) }
        try await TestServer.run(hub: hub, access: some) { server in
            func ticket(_ query: String, as who: String? = "alice") async throws -> (TestResponse, String) {
                let headers = who.map { ["X-Who": $0] } ?? [:]
                let answer = try await server.request("POST", "/tickets\(query)", headers: headers)
                return (answer, String(answer.body.split(separator: "\"").dropFirst(3).first ?? ""))
            }
            #expect(try await ticket("?topic=orders/1", as: nil).0.status == 401)
            #expect(try await ticket("?topic=news").0.status == 403)
            #expect(try await ticket("").0.status == 400)
            let (answer, text) = try await ticket("?topic=orders/1&topic=orders/2")
            #expect(answer.header("cache-control") == "no-store")
            #expect(answer.body == "{\"ticket\":\"\(text)\",\"expires\":30}\n")
            #expect(text.utf8.count == 32)

            let head = try await server.request("HEAD", "/events/orders/1?ticket=\(text)")
            #expect(head.status == 401, "HEAD does not use it up, and says nothing")
            let source = try await TestEventSource(port: server.port, path: "/events/orders/1?ticket=\(text)")
            try await server.until { $0.streamCount == 1 }
            try await hub.publish(Event(topic: "orders/1", data: "secret", isPrivate: true))
            #expect(try await source.next()?.data == "secret")
            let again = try await server.request("GET", "/events/orders/1?ticket=\(text)")
            #expect(again.status == 401)
            #expect(again.header("www-authenticate") == "Bearer")
            #expect(!again.body.contains(text))

            let (_, other) = try await ticket("?topic=orders/1")
            #expect(try await server.request("GET", "/events/orders/2?ticket=\(other)").status == 403)
            let (_, revoked) = try await ticket("?topic=orders/1")
            _ = hub.revoke("alice")
            server.tickets.revoke("alice")
            #expect(try await server.request("GET", "/events/orders/1?ticket=\(revoked)").status == 401)
        }
    }

    @Test("Tickets grow old, and there are only so many")
    func ticketsGrowOldAndThere() {
        var book = TicketBook(lifetime: .seconds(30), capacity: 2, share: 1)
        let start = ContinuousClock.now
        func insert(_ ticket: String, at seconds: Int) -> TicketBook.Insertion {
            book.insert(Grant(principal: ticket), as: ticket, now: start + .seconds(seconds))
        }
        func redeem(_ ticket: String, at seconds: Int) -> String? {
            book.redeem(ticket, now: start + .seconds(seconds))?.principal
        }
        #expect(insert("1", at: 0) == .stored)
        #expect(insert("1", at: 0) == .aboveShare)
        #expect(insert("2", at: 1) == .stored)
        #expect(insert("3", at: 29) == .aboveCapacity)
        // The first is too old by now, and makes room.
        #expect(insert("3", at: 30) == .stored)
        #expect(redeem("1", at: 30) == nil)
        #expect(redeem("2", at: 31) == nil)
        #expect(redeem("3", at: 59) == "3")
        #expect(redeem("3", at: 59) == nil)
        #expect(book.count == 0)
    }

    @Test("A grant says what may be subscribed to and published to")
    func grantSaysWhatMay() async throws {
        let hub = quickHub()
        let some = access { Grant(principal: $0, subscribe: [Self.selector, "news"], publish: ["news"]) }
        try await TestServer.run(hub: hub, access: some) { server in
            func status(_ method: String, _ path: String, body: String = "", type: String = "text/plain") async throws
                -> TestResponse
            {
                let headers = ["X-Who": "alice", "Content-Type": type]
                return try await server.request(method, path, headers: headers, body: body)
            }
            #expect(try await status("HEAD", "/events/orders/1?topic=news").status == 200)
            let refused = try await status("GET", "/events/orders/1?topic=secrets")
            #expect(refused.status == 403)
            #expect(refused.body.contains("secrets"))
            #expect(refused.body.contains("\"field\":\"topic\""))
            #expect(try await status("POST", "/events/news", body: "x").status == 200)
            #expect(try await status("POST", "/events/orders/1", body: "x").status == 403)
            let batch = "{\"topic\":\"news\",\"data\":\"1\"}\n{\"topic\":\"orders/1\",\"data\":\"2\"}\n"
            let answer = try await status("POST", "/events", body: batch, type: "application/x-ndjson")
            #expect(answer.status == 403)
            #expect(answer.body.contains("orders/1"))
        }
    }

    @Test("A client without credentials gets no ticket, and a ticket ends with the credentials")
    func whoHasNoCredentialsGets() async throws {
        let hub = quickHub()
        let some = access { who in
            who == "nobody"
                ? Grant(seesAllPublic: true)
                : Grant(principal: who, seesAllPublic: true, end: Date(timeIntervalSinceNow: -1))
        }
        try await TestServer.run(hub: hub, access: some) { server in
            let anonymous = try await server.request("POST", "/tickets?topic=a", headers: ["X-Who": "nobody"])
            #expect(anonymous.status == 403)
            for topic in ["", "%00"] {
                let no = try await server.request("POST", "/tickets?topic=\(topic)", headers: ["X-Who": "alice"])
                #expect(no.status == 400)
            }
            let answer = try await server.request("POST", "/tickets?topic=a", headers: ["X-Who": "alice"])
            let ticket = answer.body.split(separator: "\"").dropFirst(3).first ?? ""
            #expect(try await server.request("GET", "/events/a?ticket=\(ticket)").status == 401)
        }
    }

    @Test("A stream is not renewed whose topic is not granted any more")
    func streamIsNotRenewedWhose() async throws {
        let hub = quickHub()
        let some = access { Grant(principal: "alice", seesAllPublic: $0 == "then") }
        try await TestServer.run(hub: hub, access: some) { server in
            let source = try await open(server, "/events/a?stream=tab", as: "then")
            try await server.until { $0.streamCount == 1 }
            let answer = try await server.request("POST", "/streams/tab", headers: ["X-Who": "now"])
            #expect(answer.body == "{\"renewed\":0,\"ended\":1}\n")
            try await isEnded(source)
        }
    }
}

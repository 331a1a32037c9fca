// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import HTTPTypes
import Hummingbird
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import Martlet
@testable import MartletHTTP

/// A store in memory that nodes share.
private final class MemoryStore: OneTimeStore {
    private let entries = Mutex<[String: [UInt8]]>([:])

    var names: [String] { entries.withLock { Array($0.keys) } }

    func put(_ bytes: [UInt8], as name: String, for expiry: Duration) async throws {
        entries.withLock { $0[name] = bytes }
    }

    func take(_ name: String) async throws -> [UInt8]? { entries.withLock { $0.removeValue(forKey: name) } }
}

@Suite struct RightsExchangeTests {
    private func subscribe(_ hub: Hub, as principal: String, name: String? = nil) async throws -> Subscription {
        try await hub.subscribe(
            to: Selection(topics: ["a"]), after: nil, terms: LeaseTerms(principal: principal, name: name))
    }

    private func exchange(_ hub: Hub, tickets: Tickets = Tickets()) -> ExchangedRights {
        ExchangedRights(hub: hub, tickets: tickets) { _ in }
    }

    /// Has one node take what another has posted.
    private func pass(_ from: ExchangedRights, to other: ExchangedRights, atMost bytes: Int = 100_000) async throws {
        try await other.replace(from.node, with: from.posting(atMost: bytes).bytes)
    }

    @Test("What was done on one node is done on another, once, and not before that has begun")
    func actions() async throws {
        try await quickHub().whileRunning { hub in
            let here = exchange(quickHub())
            here.tell(.revoke("alice"))
            // The clocks of nodes may differ by a second.
            try await Task.sleep(for: .milliseconds(1100))
            let there = exchange(hub)
            let before = try await subscribe(hub, as: "alice")
            try await pass(here, to: there)
            #expect(before.lease?.isRevoked == false, "that was before this node")
            there.roundEnded(with: [here.node], isAway: true)
            there.roundEnded(with: [here.node], isAway: false)
            #expect(there.otherNodes == 1)
            here.tell(.revoke("alice"))
            let bob = try await subscribe(hub, as: "bob", name: "tab")
            try await pass(here, to: there)
            #expect(before.lease?.isRevoked == true)
            #expect(bob.lease?.isRevoked == false)
            let end = Date(timeIntervalSinceNow: 60)
            here.tell(.renew("tab", SharedGrant(Grant(principal: "bob", seesAllPublic: true, end: end))))
            try await pass(here, to: there)
            #expect(bob.lease?.end != nil)
            let again = try await subscribe(hub, as: "alice")
            // A node that was away and comes back under its name has said nothing new.
            try await there.replace(here.node, with: nil)
            try await pass(here, to: there)
            #expect(again.lease?.isRevoked == false)
            await #expect(throws: (any Error).self) { try await there.replace(here.node, with: Array("no".utf8)) }
        }
    }

    @Test("A posting has the newest of what was done, as much as has room, and there is a most")
    func bounds() async throws {
        try await quickHub().whileRunning { hub in
            let (here, there) = (exchange(quickHub()), exchange(hub))
            for number in 0..<100 { here.tell(.revoke("p\(number)")) }
            let whole = here.posting(atMost: 100_000)
            #expect(whole.entries == 100 && whole.omitted == 0 && whole.revision == 100)
            let some = here.posting(atMost: 200)
            #expect(some.bytes.count <= 200 && some.omitted > 90 && some.omitted < 100)
            let (old, new) = (try await subscribe(hub, as: "p0"), try await subscribe(hub, as: "p99"))
            try await pass(here, to: there, atMost: 200)
            #expect(old.lease?.isRevoked == false && new.lease?.isRevoked == true)
            for _ in 0..<ExchangedRights.mostActions { here.tell(.revoke("q")) }
            #expect(here.posting(atMost: .max).entries == ExchangedRights.mostActions)
        }
    }

    @Test("A stream is changed by the node that has it, and that node says why it is not")
    func changes() async throws {
        try await TestServer.run { server in
            let (here, there, third) = (exchange(quickHub()), exchange(server.hub), exchange(quickHub()))
            let grant = SharedGrant(Grant(subscribe: ["a", "b"]))
            func ask(_ change: TopicChange) async throws -> String? {
                let revision = here.revision
                async let answer = here.ask(for: change, grant)
                try await until { here.revision > revision }
                for node in [there, third] {
                    let before = node.revision
                    try await pass(here, to: node)
                    try await until { node.revision > before }
                    try await pass(node, to: here)
                }
                return try await answer
            }
            let source = try await TestEventSource(port: server.port, path: "/events/a?control=1")
            let name = String(try #require(try await source.next()?.data).split(separator: "\"")[3])
            let change = TopicChange(stream: name, add: ["b"], remove: ["a"])
            #expect(try await here.ask(for: change, grant) == nil, "there are no other nodes")
            here.roundEnded(with: [there.node, third.node], isAway: false)
            #expect(try await ask(TopicChange(stream: "other", add: ["b"], remove: [])) == nil)
            #expect(try await ask(change)?.hasPrefix(#"{"topics":["b"],"after":""#) == true)
            let id = try await server.hub.publish("1", to: "b")
            #expect(try await source.next() == ServerSentEvent(data: "1", id: id))
            await #expect {
                _ = try await ask(TopicChange(stream: name, add: ["c"], remove: []))
            } throws: {
                ($0 as? Problem)?.status == .forbidden && ($0 as? Problem)?.field == "topic"
            }
            // Old questions and answers are of no use to others.
            #expect(there.posting(atMost: 100_000).entries == 3)
        }
    }

    @Test("A ticket of a store opens one stream on any node, and none after its owner was revoked")
    func tickets() async throws {
        let store = MemoryStore()
        let (here, there) = (Tickets(store: store), Tickets(store: store))
        let selector = TopicSelector("a/{id}")
        let grant = Grant(principal: "alice", subscribe: [selector], end: Date(timeIntervalSinceNow: 60), payload: "{}")
        let ticket = try await here.issue(grant, for: [TopicSelector("a/1")])
        #expect(!store.names.contains(ticket), "who sees the names cannot use them")
        let redeemed = try await there.redeem(ticket)
        #expect(redeemed.principal == "alice" && redeemed.subscribe == [selector] && redeemed.payload == "{}")
        #expect(redeemed.limitedTo == [TopicSelector("a/1")] && !redeemed.seesAllPublic)
        #expect(abs(try #require(redeemed.end).timeIntervalSinceNow - 60) < 30)
        for node in [here, there] {
            await #expect { try await node.redeem(ticket) } throws: { ($0 as? Problem)?.status == .unauthorized }
        }
        try await quickHub().whileRunning { hub in
            let late = try await here.issue(grant, for: [TopicSelector("a/1")])
            _ = hub.revoke("alice")
            let terms = try await there.redeem(late).terms(name: nil, companion: nil)
            let subscription = try await hub.subscribe(to: Selection(topics: ["a/1"]), after: nil, terms: terms)
            #expect(subscription.lease?.isRevoked == true)
        }
    }
}

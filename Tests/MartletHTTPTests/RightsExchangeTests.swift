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

    /// Has a node take all that waits to be said by another.
    private func pass(_ from: ExchangedRights, to others: ExchangedRights...) async throws {
        for _ in from.waitingWords {
            let words = try await from.nextWords()
            for other in others { #expect(other.take(words.json)) }
            from.wasSaid(words.number)
        }
    }

    @Test("What was done on one node is done on another, once")
    func actions() async throws {
        try await quickHub().whileRunning { hub in
            let (here, there) = (exchange(quickHub()), exchange(hub))
            there.roundEnded(with: [here.node], isAway: false)
            #expect(there.otherNodes == 1)
            let (alice, bob) = (
                try await subscribe(hub, as: "alice"), try await subscribe(hub, as: "bob", name: "tab")
            )
            here.tell(.revoke("alice"))
            let words = try await here.nextWords()
            try await pass(here, to: there)
            #expect(alice.lease?.isRevoked == true)
            #expect(bob.lease?.isRevoked == false)
            let end = Date(timeIntervalSinceNow: 60)
            here.tell(.renew("tab", SharedGrant(Grant(principal: "bob", seesAllPublic: true, end: end))))
            try await pass(here, to: there)
            #expect(bob.lease?.end != nil)
            let again = try await subscribe(hub, as: "alice")
            #expect(there.take(words.json))
            #expect(again.lease?.isRevoked == false, "it was said twice")
            #expect(!there.take(Array("no".utf8)))
        }
    }

    @Test("What could not be said waits, the newest of it")
    func bounds() async throws {
        let here = exchange(quickHub())
        for number in 0..<ExchangedRights.mostActions { here.tell(.revoke("p\(number)")) }
        let first = try await here.nextWords()
        here.tell(.revoke("last"))
        #expect(here.waitingWords.count == ExchangedRights.mostActions)
        // It was dropped while it was being said.
        here.wasSaid(first.number)
        #expect(here.waitingWords.count == ExchangedRights.mostActions)
        #expect(try await here.nextWords().number == first.number + 1)
    }

    @Test("A stream is changed by the node that has it, and that node says why it is not")
    func changes() async throws {
        try await TestServer.run { server in
            let (here, there, third) = (exchange(quickHub()), exchange(server.hub), exchange(quickHub()))
            let grant = SharedGrant(Grant(subscribe: ["a", "b"]))
            func ask(_ change: TopicChange, atMost bytes: Int = 10_000) async throws -> String? {
                async let answer = here.ask(for: change, grant, atMost: bytes)
                try await until { !here.waitingWords.isEmpty }
                try await pass(here, to: there, third)
                for node in [there, third] {
                    try await until { !node.waitingWords.isEmpty }
                    try await pass(node, to: here)
                }
                return try await answer
            }
            let source = try await TestEventSource(port: server.port, path: "/events/a?control=1")
            let name = String(try #require(try await source.next()?.data).split(separator: "\"")[3])
            let change = TopicChange(stream: name, add: ["b"], remove: ["a"])
            #expect(try await here.ask(for: change, grant, atMost: 10_000) == nil, "there are no other nodes")
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
            await #expect {
                _ = try await here.ask(for: change, grant, atMost: 100)
            } throws: {
                ($0 as? Problem)?.status == .contentTooLarge
            }
            #expect(here.waitingWords.isEmpty)
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

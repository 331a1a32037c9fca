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

    private func exchange(_ hub: Hub, tickets: Tickets = Tickets(), mostBytes: Int = .max) -> ExchangedRights {
        ExchangedRights(hub: hub, tickets: tickets, mostBytes: mostBytes) { _ in }
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
            func ask(_ change: TopicChange) async throws -> String? {
                async let answer = here.ask(for: change, grant)
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
            #expect(try await here.ask(for: change, grant) == nil, "there are no other nodes")
            here.roundEnded(with: [there.node, third.node], isAway: false)
            #expect(try await here.ask(for: TopicChange(stream: "no name", add: ["b"], remove: []), grant) == nil)
            #expect(try await ask(TopicChange(stream: .randomName(), add: ["b"], remove: [])) == nil)
            #expect(try await ask(change)?.hasPrefix(#"{"topics":["b"],"after":""#) == true)
            let id = try await server.hub.publish("1", to: "b")
            #expect(try await source.next() == ServerSentEvent(data: "1", id: id))
            await #expect {
                _ = try await ask(TopicChange(stream: name, add: ["c"], remove: []))
            } throws: {
                ($0 as? Problem)?.status == .forbidden && ($0 as? Problem)?.field == "topic"
            }
            let large = String(repeating: "t", count: ExchangedRights.mostAskedBytes)
            await #expect {
                _ = try await here.ask(for: TopicChange(stream: name, add: [try Topic(large)], remove: []), grant)
            } throws: {
                ($0 as? Problem)?.status == .contentTooLarge
            }
            #expect(here.waitingWords.isEmpty)
        }
    }

    @Test("A change that nobody waits for any more is not made, and its client is told to try again")
    func lateChanges() async throws {
        try await TestServer.run { server in
            let (here, there) = (exchange(quickHub()), exchange(server.hub, mostBytes: 300))
            here.roundEnded(with: [there.node], isAway: false)
            let source = try await TestEventSource(port: server.port, path: "/events/a?control=1")
            let name = String(try #require(try await source.next()?.data).split(separator: "\"")[3])
            let (change, grant) = (TopicChange(stream: name, add: ["b"], remove: []), Grant(subscribe: ["a", "b"]))
            // The channel is away.
            await #expect {
                _ = try await here.ask(for: change, SharedGrant(grant))
            } throws: {
                ($0 as? Problem)?.status == .serviceUnavailable
            }
            #expect(here.waitingWords.isEmpty, "it is not said when the channel is back")
            let before = WallTime(milliseconds: WallTime.now.milliseconds - 10_000)
            here.tell(.change(change, SharedGrant(grant, at: before), question: "q"))
            // An answer that is too long is cut.
            let long = try (0..<10).map { try Topic("a long name of a topic \($0)") }
            here.tell(.change(TopicChange(stream: name, add: long, remove: []), SharedGrant(grant), question: "q"))
            try await pass(here, to: there)
            try await until { !there.waitingWords.isEmpty }
            let answers = there.waitingWords.map { String(decoding: $0, as: UTF8.self) }
            #expect(answers.count == 1 && answers[0].utf8.count < 300, "\(answers)")
        }
    }

    @Test("At most so many changes are asked for in a second")
    func manyChanges() async throws {
        let here = exchange(quickHub())
        here.roundEnded(with: [NodeName()], isAway: false)
        let grant = SharedGrant(Grant(subscribe: ["a"]))
        let change = TopicChange(stream: .randomName(), add: ["a"], remove: [])
        await withTaskGroup(of: Bool.self) { tasks in
            for _ in 0..<4 * ExchangedRights.mostAskedPerSecond {
                tasks.addTask {
                    do { _ = try await here.ask(for: change, grant) } catch let problem as Problem {
                        return problem.detail.hasPrefix("Too many")
                    } catch {}
                    return false
                }
            }
            var refused = 0
            for await isRefused in tasks where isRefused { refused += 1 }
            #expect(refused > 0)
        }
    }

    @Test("A renewal that comes late does not take the place of a newer one")
    func lateRenewals() async throws {
        try await quickHub().whileRunning { hub in
            let node = exchange(hub)
            let stream = try await subscribe(hub, as: "alice", name: "tab")
            func renew(for seconds: Double, at milliseconds: Int64) async throws {
                let other = exchange(quickHub())
                let grant = Grant(principal: "alice", seesAllPublic: true, end: Date(timeIntervalSinceNow: seconds))
                let time = WallTime(milliseconds: WallTime.now.milliseconds + milliseconds)
                other.tell(.renew("tab", SharedGrant(grant, at: time)))
                try await pass(other, to: node)
            }
            try await renew(for: 3600, at: 0)
            let end = try #require(stream.lease?.end)
            try await renew(for: 1, at: -10_000)
            #expect(stream.lease?.end == end)
            try await renew(for: 7200, at: 0)
            #expect(try #require(stream.lease?.end) > end)
        }
    }

    @Test("Times of other nodes may be anything", arguments: [Int64.min, -1, 0, .max])
    func times(judged: Int64) throws {
        let json = #"{"subscribe":[],"seesAllPublic":true,"judged":\#(judged),"end":1e300}"#
        let shared = try JSONDecoder().decode(SharedGrant.self, from: Data(json.utf8))
        #expect(try #require(shared.grant().judged) < .now)
        #expect(shared.time() <= .now && shared.grant().instantOfEnd != nil)
        #expect(shared.age() >= .zero)
    }

    @Test("An exchange stops when it is told to, even if its channel is away")
    func ends() async throws {
        final class Away: NodeBoard, NodeChannel {
            struct Failure: Error {}
            let isAsked = Atomic(false)
            var maximumBytes: Int { 1000 }
            var mostBytesSaid: Int { 1000 }
            func post(_: NodePosting, as: NodeName, for: Duration) async throws { throw Failure() }
            func renew(_: NodeName, for: Duration) async throws -> Bool { throw Failure() }
            func remove(_: NodeName) async throws { throw Failure() }
            func versions() async throws -> [NodeName: UInt64] { throw Failure() }
            func posting(of: NodeName) async throws -> NodePosting? { throw Failure() }
            func say(_: [UInt8]) async throws {
                isAsked.store(true, ordering: .relaxed)
                throw Failure()
            }
            func hear(within: Duration) async throws -> [[UInt8]] { throw Failure() }
        }
        let channel = Away()
        let rights = RightsExchange(of: quickHub(), on: channel, tickets: Tickets())
        rights.revoke("alice")
        let run = Task { try await rights.run() }
        try await until { channel.isAsked.load(ordering: .relaxed) }
        run.cancel()
        try await run.value
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
        // Wherever it is used: the node that issued it has removed it, and others know who was revoked.
        let (first, second) = (
            try await here.issue(grant, for: [TopicSelector("a/1")]),
            try await here.issue(grant, for: [TopicSelector("a/1")])
        )
        there.revoke("alice")
        await #expect { try await there.redeem(first) } throws: { ($0 as? Problem)?.status == .unauthorized }
        here.revoke("alice")
        try await until { store.names.isEmpty }
        await #expect { try await Tickets(store: store).redeem(second) } throws: {
            ($0 as? Problem)?.status == .unauthorized
        }
        // A new one is good.
        _ = try await here.redeem(try await here.issue(grant, for: [TopicSelector("a/1")]))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import Martlet

/// Says when it goes.
private final class Companion: Sendable {
    private let gone: @Sendable () -> Void
    init(_ gone: @escaping @Sendable () -> Void) { self.gone = gone }
    deinit { gone() }
}

@Suite struct LeaseTests {
    /// A stream on a simulated shard, with a way to hear of its lease as the shard would.
    private struct Stream {
        let shard: SimulatedShard
        let socket: Int32
        let token: SinkToken
        private let changes: Changes

        private final class Changes: Sendable {
            let count = Mutex(0)
        }

        init(_ hub: Hub, _ terms: LeaseTerms, on shard: SimulatedShard, age: Duration = .seconds(100)) async throws {
            self.shard = shard
            changes = Changes()
            let subscription = try await hub.subscribe(to: Selection(topics: ["a"]), after: nil, terms: terms)
            (socket, token) = shard.open(subscription, framing: .plain)
            subscription.lease?.observe { [changes] in changes.count.withLock { $0 += 1 } }
            shard.sinks.end(token, at: shard.sinks.start + age, because: .age)
            shard.sinks.leaseChanged(token, now: shard.now)
        }

        /// What the shard does when it hears of changes.
        func hear() {
            for _ in 0..<changes.count.withLock({ $0 }) { shard.sinks.leaseChanged(token, now: shard.now) }
            changes.count.withLock { $0 = 0 }
        }

        func isEnded(at time: Duration) -> Bool? {
            shard.sinks.endDue(now: shard.sinks.start + time)
            return shard.network.sockets[socket]?.isFinished
        }
    }

    private func withShard(_ body: @Sendable @escaping (Hub, SimulatedShard) async throws -> Void) async throws {
        try await withHub { hub in
            let shard = SimulatedShard(hub, seed: 7)
            shard.network.isKind = true
            try await body(hub, shard)
        }
    }

    @Test("A stream ends with the right to it, or sooner with its age")
    func streamEndsWithTheRight() async throws {
        try await withShard { hub, shard in
            let start = shard.sinks.start
            let first = try await Stream(hub, LeaseTerms(end: start + .seconds(2)), on: shard)
            let second = try await Stream(hub, LeaseTerms(end: start + .seconds(20)), on: shard, age: .seconds(3))
            #expect(first.isEnded(at: .milliseconds(1999)) == false)
            #expect(first.isEnded(at: .seconds(2)) == true)
            #expect(second.isEnded(at: .milliseconds(2999)) == false)
            #expect(second.isEnded(at: .seconds(3)) == true)
        }
    }

    @Test("A stream is renewed in place, up to its age, and can be cut short")
    func streamIsRenewedInPlace() async throws {
        try await withShard { hub, shard in
            let start = shard.sinks.start
            let terms = LeaseTerms(principal: "alice", name: "tab", end: start + .seconds(2))
            let stream = try await Stream(hub, terms, on: shard, age: .seconds(50))
            func renew(_ end: Duration?, name: String = "tab", of principal: String = "alice") -> Int {
                let count = hub.renew(principal, name: name, grants: [], until: end.map { start + $0 })
                stream.hear()
                return count.renewed
            }
            #expect(renew(.seconds(10), name: "other") == 0)
            #expect(renew(.seconds(10), of: "bob") == 0)
            #expect(renew(.seconds(10)) == 1)
            #expect(stream.isEnded(at: .milliseconds(9999)) == false)
            #expect(renew(.seconds(60)) == 1)
            #expect(stream.isEnded(at: .milliseconds(49_999)) == false)
            #expect(renew(nil) == 1)
            #expect(stream.isEnded(at: .milliseconds(49_999)) == false)
            #expect(renew(.seconds(49)) == 1)
            #expect(stream.isEnded(at: .seconds(49)) == true)
        }
    }

    @Test("A stream that was opened with other rights is not renewed, but ends")
    func streamThatWasOpened() async throws {
        try await withShard { hub, shard in
            let stream = try await Stream(hub, LeaseTerms(principal: "alice", name: "tab"), on: shard)
            let count = hub.renew("alice", name: "tab", grants: ["b"], until: nil)
            #expect(count == (0, 1))
            stream.hear()
            #expect(stream.shard.network.sockets[stream.socket]?.isFinished == true)
        }
    }

    @Test("Revoking ends all streams of a principal at once, and no others")
    func revokingEndsAllStreams() async throws {
        try await withShard { hub, shard in
            let streams = [
                try await Stream(hub, LeaseTerms(principal: "alice"), on: shard),
                try await Stream(hub, LeaseTerms(principal: "alice", end: .now + .seconds(9)), on: shard),
                try await Stream(hub, LeaseTerms(principal: "bob"), on: shard),
                try await Stream(hub, LeaseTerms(), on: shard),
            ]
            #expect(hub.revoke("alice") == 2)
            for stream in streams { stream.hear() }
            #expect(streams.map { shard.network.sockets[$0.socket]?.isFinished } == [true, true, false, false])
            #expect(hub.revoke("carol") == 0)
        }
    }

    @Test("Revoking also ends a stream whose right was judged before and which opens after")
    func revokingAlsoEndsAStream() async throws {
        try await withShard { hub, shard in
            let before = ContinuousClock.now
            #expect(hub.revoke("alice") == 0)
            let late = try await Stream(hub, LeaseTerms(principal: "alice", judged: before), on: shard)
            late.hear()
            let anew = try await Stream(hub, LeaseTerms(principal: "alice"), on: shard)
            anew.hear()
            #expect(shard.network.sockets[late.socket]?.isFinished == true)
            #expect(shard.network.sockets[anew.socket]?.isFinished == false)
        }
    }

    @Test("Principals are told apart byte for byte")
    func principalsAreToldApartByte() async throws {
        try await withShard { hub, shard in
            let stream = try await Stream(hub, LeaseTerms(principal: "e\u{301}"), on: shard)
            #expect(hub.revoke("\u{E9}") == 0)
            stream.hear()
            #expect(shard.network.sockets[stream.socket]?.isFinished == false)
        }
    }

    @Test("Renewing does not keep a stream that drains after its lease would have ended")
    func renewingDoesNotKeep() async throws {
        try await withShard { hub, shard in
            let start = shard.sinks.start
            let terms = LeaseTerms(principal: "alice", name: "tab", end: start + .seconds(1))
            let stream = try await Stream(hub, terms, on: shard)
            shard.sinks.end(stream.token, at: start + .seconds(6), because: .drained)
            _ = hub.renew("alice", name: "tab", grants: [], until: start + .seconds(20))
            stream.hear()
            #expect(stream.isEnded(at: .milliseconds(5999)) == false)
            #expect(stream.isEnded(at: .seconds(6)) == true)
        }
    }

    @Test("Renewing does not keep a stream that drains")
    func renewingDoesNotKeepAStream() async throws {
        try await withShard { hub, shard in
            let start = shard.sinks.start
            let stream = try await Stream(
                hub, LeaseTerms(principal: "alice", name: "tab", end: start + .seconds(9)), on: shard)
            shard.sinks.end(stream.token, at: start + .seconds(1), because: .drained)
            _ = hub.renew("alice", name: "tab", grants: [], until: start + .seconds(20))
            stream.hear()
            #expect(stream.isEnded(at: .seconds(1)) == true)
        }
    }

    @Test("A lease goes with its stream, and its companion with it")
    func leaseGoesWithItsStream() async throws {
        try await withShard { hub, shard in
            let gone = Mutex(0)
            func terms() -> LeaseTerms {
                LeaseTerms(principal: "alice", companion: Companion { gone.withLock { $0 += 1 } })
            }
            let stream = try await Stream(hub, terms(), on: shard)
            #expect(hub.leases.leases(of: "alice").count == 1)
            #expect(gone.withLock { $0 } == 0)
            shard.sinks.remove(stream.token)
            #expect(gone.withLock { $0 } == 1)
            #expect(hub.leases.leases(of: "alice").isEmpty)

            // Never opened.
            _ = try await hub.subscribe(to: Selection(topics: ["a"]), after: nil, terms: terms())
            #expect(gone.withLock { $0 } == 2)
            // Never possible.
            await #expect(throws: MartletError.self) {
                try await hub.subscribe(to: Selection(topics: []), after: nil, terms: terms())
            }
            #expect(gone.withLock { $0 } == 3)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Martlet

/// The streams that have ended.
private final class EndedStreams: Sendable {
    private let streams = Mutex<[EndedStream]>([])
    var all: [EndedStream] { streams.withLock { $0 } }
    var hear: @Sendable (EndedStream) -> Void { { stream in self.streams.withLock { $0.append(stream) } } }

    /// The only stream of this name that has ended.
    func named(_ id: String) throws -> EndedStream {
        let found = all.filter { $0.client.requestID == id }
        try #require(found.count == 1, "\(id) has ended \(found.count) times")
        return found[0]
    }
}

@Suite("Streams that have ended")
struct EndedStreamTests {
    @Test("What is reported of a stream is what its socket took, however much that was at a time", arguments: 0..<12)
    func counts(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let ended = EndedStreams()
        let windowBytes = [1, 2000, 1_000_000].randomElement(using: &random) ?? 1
        let base = HubConfiguration.with { $0.chooseReplays(using: &random) }
        try await withHub(windowBytes: windowBytes, base: base, onStreamEnd: ended.hear) { [random] hub in
            var random = random
            let shard = SimulatedShard(hub, seed: seed)
            var open: [(socket: Int32, token: SinkToken, framing: Framing)] = []
            var gone: [(socket: Int32, framing: Framing)] = []
            var published = 0
            for _ in 0..<300 {
                let place = open.indices.randomElement(using: &random)
                switch Int.random(in: 0..<14, using: &random) {
                case 0..<3:
                    let events = (0..<Int.random(in: 1...10, using: &random)).map { offset in
                        Event(topic: ["a", "b"].randomElement(using: &random) ?? "a", data: "\(published + offset)")
                    }
                    published += events.count
                    try await hub.publish(contentsOf: events)
                case 3..<5:
                    let subscription = try await hub.subscribe(
                        to: .of(Bool.random(using: &random) ? "a" : "b"),
                        after: Bool.random(using: &random) ? "earliest" : nil,
                        profile: StreamProfile.allCases.randomElement(using: &random) ?? .standard,
                        client: StreamClient(requestID: "\(open.count + gone.count)"))
                    let framing: Framing = Bool.random(using: &random) ? .chunked : .plain
                    let (socket, token) = shard.open(subscription, framing: framing)
                    #expect(socket == Int32(open.count + gone.count))
                    open.append((socket, token, framing))
                case 5..<9: shard.pass()
                case 9..<11:
                    guard let place, shard.network.unblock(open[place].socket) else { continue }
                    shard.sinks.resume(open[place].token, now: shard.now)
                case 11: shard.sinks.beat(now: shard.now)
                case 12:
                    guard let place else { continue }
                    shard.network.breakConnection(of: open[place].socket)
                    shard.sinks.receive(open[place].token)
                    gone.append((open[place].socket, open[place].framing))
                    open.remove(at: place)
                default: try await Task.step()
                }
            }
            for stream in open {
                shard.sinks.remove(stream.token)
                gone.append((stream.socket, stream.framing))
            }
            #expect(ended.all.count == gone.count, "seed \(seed)")
            for (socket, framing) in gone {
                let report = try ended.named("\(socket)")
                let bytes = shard.network.sockets[socket]?.received ?? []
                #expect(report.bytes == bytes.count, "seed \(seed), stream \(socket)")
                var parser = EventStreamParser()
                var chunks = ChunkedDecoder(isChunked: framing == .chunked)
                var events = 0
                for case .event(let event) in try parser.parse(try chunks.decode(bytes)) {
                    if event.event != StreamProfile.heartbeatType { events += 1 }
                }
                // The end of a chunk, or the empty line of an event, may be missing.
                #expect((report.events...report.events + 1).contains(events), "seed \(seed), stream \(socket)")
            }
        }
    }

    @Test("Why, whose, which topics, for how long: what is known of a stream is in its report")
    func report() async throws {
        let ended = EndedStreams()
        try await withHub(onStreamEnd: ended.hear) { hub in
            let shard = SimulatedShard(hub, seed: 3)
            shard.network.isKind = true
            let terms = LeaseTerms(principal: "alice", name: "tab")
            let subscription = try await hub.subscribe(
                to: Selection(selectors: ["news", "orders/{id}"]), after: nil, terms: terms,
                client: StreamClient(address: "192.0.2.7", requestID: "r1"))
            shard.now -= .seconds(5)
            let (_, token) = shard.open(subscription, framing: .chunked)
            try await hub.publish(numbers: 0..<3, to: "news")
            shard.pass()
            shard.sinks.end(token, because: .age, retry: .seconds(1), now: shard.now)
            #expect(ended.all.isEmpty)
            shard.sinks.remove(token)
            let report = try #require(ended.all.first)
            #expect(report.reason == .age)
            #expect(report.principal == "alice")
            #expect(report.name == "tab")
            #expect(report.topics == ["news", "orders/{id}"])
            #expect(report.client == StreamClient(address: "192.0.2.7", requestID: "r1"))
            #expect(report.events == 3)
            #expect(report.duration >= .seconds(5))
        }
    }

    @Test("Each end has its reason")
    func reasons() async throws {
        let ended = EndedStreams()
        try await withHub(base: .with { $0.writeTimeout = .seconds(1) }, onStreamEnd: ended.hear) { hub in
            let shard = SimulatedShard(hub, seed: 3)
            shard.network.isKind = true
            func open(_ name: String, _ topic: Topic = "a", _ terms: LeaseTerms = LeaseTerms()) async throws -> (
                socket: Int32, token: SinkToken
            ) {
                let client = StreamClient(requestID: name)
                let subscription = try await hub.subscribe(to: .of(topic), after: nil, terms: terms, client: client)
                return shard.open(subscription, framing: .plain)
            }
            let client = try await open("client")
            shard.network.breakConnection(of: client.socket)
            shard.sinks.receive(client.token)
            let slow = try await open("slow", "slow")
            shard.network.full.insert(slow.socket)
            try await hub.publish(numbers: 0..<1, to: "slow")
            shard.pass()
            shard.sinks.expire(now: shard.now + .seconds(2))
            #expect(try ended.named("slow").reason == .slow)
            #expect(try ended.named("client").reason == .client)
            let last = try await open("ended", "over")
            try await hub.close("over")
            while shard.network.sockets[last.socket]?.isFinished != true {
                shard.pass()
                try await Task.step()
            }
            let revoked = try await open("revoked", "a", LeaseTerms(principal: "p"))
            _ = hub.revoke("p")
            shard.sinks.leaseChanged(revoked.token, now: shard.now)
            let expired = try await open("expired", "a", LeaseTerms(end: shard.now + .seconds(1)))
            shard.sinks.endDue(now: shard.now + .seconds(2))
            for token in [last.token, revoked.token, expired.token] { shard.sinks.remove(token) }
            for reason in [StreamEnd.ended, .revoked, .expired] {
                #expect(try ended.named(reason.rawValue).reason == reason, "\(reason)")
            }
        }
    }

    @Test("A hub whose ends of streams nobody hears of keeps no ledger")
    func nothing() async throws {
        try await withHub { hub in
            let shard = SimulatedShard(hub, seed: 3)
            _ = shard.open(try await hub.subscribe(to: .of("a"), after: nil), framing: .plain)
            #expect(shard.sinks.ledger == nil)
            #expect(!hub.reportsStreams)
        }
    }
}

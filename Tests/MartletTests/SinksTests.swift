// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import Martlet

/// A client with all its connections.
private final class Client {
    let selection: Selection
    let framing: Framing
    var socket: Int32 = -1
    var token = SinkToken(index: 0, generation: .max)
    private(set) var read: [String] = []
    private var parser = EventStreamParser()
    private var chunks = ChunkedDecoder()

    init(_ selection: Selection, framing: Framing) {
        self.selection = selection
        self.framing = framing
    }

    func connect(to hub: Hub, _ shard: SimulatedShard) async throws {
        let id = parser.lastEventID
        let subscription = try await hub.subscribe(to: selection, after: id.isEmpty ? nil : id)
        parser = EventStreamParser(lastEventID: subscription.position.text)
        chunks = ChunkedDecoder(isChunked: framing == .chunked)
        (socket, token) = shard.open(subscription, framing: framing)
    }

    func receive(from shard: SimulatedShard) throws {
        for case .event(let event) in try parser.parse(try chunks.decode(shard.network.takeReceived(of: socket))) {
            read.append(event.data ?? "")
        }
    }
}

@Suite struct SinksTests {
    @Test(
        "Clients see every event once and in order, however much their sockets take and whenever they break",
        arguments: 0..<12)
    func whateverSocketsTakeAndWhenever(
        round: Int
    ) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let windowBytes = [1, 2000, 20_000, 1_000_000].randomElement(using: &random) ?? 1
        let log: any Log =
            round % 3 == 2 ? VectorLog(VectorLog.Store(), readsFirst: .first) : MemoryLog()
        let base = HubConfiguration.with { $0.chooseReplays(using: &random) }
        try await withHub(log: log, windowBytes: windowBytes, base: base) { [random] hub in
            var random = random
            let shard = SimulatedShard(hub, seed: seed)
            let topics: [Topic] = ["a", "b", "c"]
            var clients: [Client] = []
            for names in [["a"], ["a"], ["a"], ["b", "c"], Set(topics)] as [Set<Topic>] {
                let framing: Framing = Bool.random(using: &random) ? .chunked : .plain
                let client = Client(Selection(topics: names), framing: framing)
                try await client.connect(to: hub, shard)
                clients.append(client)
            }
            var published: [Event] = []
            for _ in 0..<300 {
                let client = clients[Int.random(in: 0..<clients.count, using: &random)]
                switch Int.random(in: 0..<12, using: &random) {
                case 0..<4:
                    let events = (0..<Int.random(in: 1...20, using: &random)).map { offset in
                        let topic = topics[Int.random(in: 0..<3, using: &random)]
                        return Event(topic: topic, data: "\(published.count + offset)")
                    }
                    try await hub.publish(contentsOf: events)
                    published += events
                case 4..<7: shard.pass()
                case 7, 8: if shard.network.unblock(client.socket) { shard.sinks.resume(client.token, now: shard.now) }
                case 9: shard.sinks.beat(now: shard.now)
                case 10: try client.receive(from: shard)
                default:
                    if Bool.random(using: &random) { try client.receive(from: shard) }
                    shard.network.breakConnection(of: client.socket)
                    // The shard hears of it now, or finds out when it writes.
                    if Bool.random(using: &random) { shard.sinks.receive(client.token) }
                    try await client.connect(to: hub, shard)
                }
            }
            shard.network.isKind = true
            for client in clients {
                let expected = published.filter { client.selection.contains($0) }
                // A busy machine may be slow, but each client gets further.
                var (count, end) = (-1, ContinuousClock.now)
                while client.read.count < expected.count {
                    if client.read.count > count {
                        (count, end) = (client.read.count, ContinuousClock.now + TestConnection.patience)
                    }
                    try #require(ContinuousClock.now < end, "seed \(seed): \(client.read.count) of \(expected.count)")
                    if shard.network.unblock(client.socket) { shard.sinks.resume(client.token, now: shard.now) }
                    shard.pass()
                    try client.receive(from: shard)
                    try await Task.step()
                }
                #expect(client.read.sorted() == expected.map(\.data).sorted(), "seed \(seed)")
                for topic in client.selection.selectors.compactMap(\.exactTopic) {
                    let own = expected.filter { $0.topic == topic }.map(\.data)
                    #expect(client.read.filter(Set(own).contains) == own, "seed \(seed), topic \(topic)")
                }
            }
            for token in shard.sinks.tokens { shard.sinks.remove(token) }
            #expect(shard.sinks.count == 0)
            #expect(hub.streamCount == 0)
            #expect(hub.feedCount == 0)
            #expect(shard.network.sockets.values.allSatisfy { $0.isClosed })
        }
    }

    @Test("A stream that is ended ends what it has begun, says when to come back, and lingers")
    func streamThatIsEndedEnds() async throws {
        try await withHub { hub in
            let shard = SimulatedShard(hub, seed: 1)
            shard.network.isKind = true
            let subscription = try await hub.subscribe(to: Selection(topics: ["a"]), after: nil)
            let (socket, token) = shard.open(subscription, framing: .chunked)
            shard.sinks.end(token, because: .drained, retry: .milliseconds(1500), now: shard.now)
            let text = String(decoding: shard.network.takeReceived(of: socket), as: UTF8.self)
            #expect(text == "d\r\nretry: 1500\n\n\r\n0\r\n\r\n")
            #expect(shard.network.sockets[socket]?.isFinished == true)
            shard.sinks.expire(now: shard.now + .milliseconds(999))
            #expect(shard.network.sockets[socket]?.isClosed == false)
            shard.sinks.expire(now: shard.now + .seconds(1))
            #expect(shard.network.sockets[socket]?.isClosed == true)
        }
    }

    @Test("A member that is ahead of its group joins it with the next pass", arguments: [1_000_000, 1])
    func whoHasOvertakenItsGroup(
        windowBytes: Int
    ) async throws {
        try await withHub(windowBytes: windowBytes) { hub in
            let shard = SimulatedShard(hub, seed: 4)
            shard.network.isKind = true
            let subscriptions = [
                try await hub.subscribe(to: Selection(topics: ["a"]), after: nil),
                try await hub.subscribe(to: Selection(topics: ["a"]), after: nil),
            ]
            let (slow, token) = shard.open(subscriptions[0], framing: .plain)
            let (quick, _) = shard.open(subscriptions[1], framing: .plain)
            shard.network.full = [slow]
            try await hub.publish(numbers: 0..<1, to: "a")
            shard.pass()
            // The group has not had its turn when the slow one comes further.
            try await hub.publish(numbers: 1..<3, to: "a")
            shard.network.full = []
            #expect(shard.network.unblock(slow))
            shard.sinks.resume(token, now: shard.now)
            let isGrouped = { shard.sinks.members[Int(token.index)].place >= 0 }
            // With a window of nothing both have to read history.
            let end = ContinuousClock.now + TestConnection.patience
            while case .reading? = shard.sinks.stragglers[token.index]?.phase {
                try #require(ContinuousClock.now < end)
                shard.takeAnswers()
                try await Task.step()
            }
            #expect(!isGrouped())
            shard.pass()
            #expect(isGrouped())
            let text = String(decoding: shard.network.takeReceived(of: slow), as: UTF8.self)
            #expect(text.split(separator: "\n").filter { $0.hasPrefix("data: ") } == ["data: 0", "data: 1", "data: 2"])
            #expect(shard.network.sockets[quick]?.isClosed == false)
        }
    }

    @Test("A client that has missed little reads it in its turn, and one that has missed much waits for the replayer")
    func clientThatHasMissedLittle() async throws {
        try await withHub { hub in
            let shard = SimulatedShard(hub, seed: 6)
            shard.network.isKind = true
            let ids = try await hub.publish(numbers: 0..<100, to: "a")
            let near = shard.open(
                try await hub.subscribe(to: Selection(topics: ["a"]), after: ids[89]), framing: .plain)
            shard.pass()
            func data(_ socket: Int32) -> [Int] {
                String(decoding: shard.network.takeReceived(of: socket), as: UTF8.self).split(separator: "\n")
                    .compactMap { $0.hasPrefix("data: ") ? Int($0.dropFirst(6)) : nil }
            }
            #expect(data(near.socket) == Array(90..<100))
            #expect(shard.sinks.members[Int(near.token.index)].place >= 0)
            #expect(hub.fanOut.replayer.budget.byteCount == 0)
            let far = shard.open(try await hub.subscribe(to: Selection(topics: ["a"]), after: ids[9]), framing: .plain)
            shard.sinks.takeTurns(liveSince: shard.now)
            guard case .reading? = shard.sinks.stragglers[far.token.index]?.phase else {
                Issue.record("It does not wait.")
                return
            }
            let end = ContinuousClock.now + TestConnection.patience
            while shard.sinks.members[Int(far.token.index)].place < 0 {
                try #require(ContinuousClock.now < end)
                shard.pass()
                try await Task.step()
            }
            #expect(data(far.socket) == Array(10..<100))
        }
    }

    @Test("A busy feed delays a quiet one by one slice")
    func busyFeedDelaysAQuiet() async throws {
        try await withHub { hub in
            let shard = SimulatedShard(hub, seed: 5)
            shard.network.isKind = true
            var busy: [Int32] = []
            for _ in 0..<20 {
                let subscription = try await hub.subscribe(to: Selection(topics: ["busy"]), after: nil)
                busy.append(shard.open(subscription, framing: .plain).socket)
            }
            let quiet = shard.open(
                try await hub.subscribe(to: Selection(topics: ["quiet"]), after: nil), framing: .plain
            ).socket
            let received = { (socket: Int32) in
                String(decoding: shard.network.takeReceived(of: socket), as: UTF8.self)
                    .split(separator: "\n").count { $0.hasPrefix("data: ") }
            }
            try await hub.publish(numbers: 0..<1000, to: "busy")
            try await hub.publish(numbers: 0..<1, to: "quiet")
            shard.pass()
            #expect(received(quiet) == 1)
            #expect(busy.map(received) == Array(repeating: hub.configuration.slice.events, count: 20))
            for _ in 0..<3 { shard.pass() }
            #expect(busy.map(received) == Array(repeating: 1000 - hub.configuration.slice.events, count: 20))
        }
    }

    @Test("Streams end when their time comes, and not before")
    func streamsEndWhenTheirTime() async throws {
        try await withHub { hub in
            let shard = SimulatedShard(hub, seed: 2)
            shard.network.isKind = true
            let start = shard.sinks.start
            var streams: [(socket: Int32, token: SinkToken)] = []
            for tenths in [3, 2, 2] {
                let subscription = try await hub.subscribe(to: Selection(topics: ["a"]), after: nil)
                streams.append(shard.open(subscription, framing: .plain))
                shard.sinks.end(streams.last!.token, at: start + .milliseconds(tenths * 100), because: .age)
            }
            let ended = { streams.map { shard.network.sockets[$0.socket]?.isFinished } }
            #expect(shard.sinks.nextEnd == start + .milliseconds(200))
            shard.sinks.endDue(now: start + .milliseconds(199))
            #expect(ended() == [false, false, false])
            // Whoever comes in the place of one that has left has not got its time.
            shard.sinks.remove(streams[2].token)
            let next = try await hub.subscribe(to: Selection(topics: ["a"]), after: nil)
            streams[2] = shard.open(next, framing: .plain)
            shard.sinks.endDue(now: start + .milliseconds(200))
            #expect(ended() == [false, true, false])
            #expect(shard.sinks.nextEnd == start + .milliseconds(300))
            shard.sinks.endDue(now: start + .seconds(60))
            #expect(ended() == [true, true, false])
            // Only the greatest age is left.
            #expect(shard.sinks.nextEnd.map { $0 > start + .seconds(3600) } == true)
        }
    }

    @Test("A client that takes nothing for the write timeout is disconnected, and not before")
    func clientThatTakesNothing() async throws {
        try await withHub { hub in
            let shard = SimulatedShard(hub, seed: 3)
            let subscription = try await hub.subscribe(to: Selection(topics: ["a"]), after: nil)
            let (socket, _) = shard.open(subscription, framing: .plain)
            while shard.network.sockets[socket]?.isBlocked == false {
                try await hub.publish(numbers: 0..<1, to: "a")
                shard.pass()
            }
            shard.sinks.expire(now: shard.now + hub.configuration.writeTimeout - .milliseconds(1))
            #expect(shard.network.sockets[socket]?.isClosed == false)
            shard.sinks.expire(now: shard.now + hub.configuration.writeTimeout)
            #expect(shard.network.sockets[socket]?.isClosed == true)
            #expect(hub.feedCount == 1)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import TestSupport
import Testing

@testable import Martlet

/// A client with all its connections, which looks at each block.
private final class Client {
    let profile: StreamProfile
    let framing: Framing
    let selection: Selection
    var socket: Int32 = -1
    var token = SinkToken(index: 0, generation: .max)
    private(set) var read: [String] = []
    private(set) var heartbeats = 0
    private(set) var ends: [String] = []
    private(set) var gaps = 0
    private(set) var bytes: [UInt8] = []
    private var chunks = ChunkedDecoder()
    private var parser = EventStreamParser()

    init(_ profile: StreamProfile, _ framing: Framing, _ selection: Selection) {
        self.profile = profile
        self.framing = framing
        self.selection = selection
    }

    /// Returns whether the client is told that there is nothing more.
    func connect(to hub: Hub, _ shard: SimulatedShard) async throws -> Bool {
        let id = parser.lastEventID
        let subscription = try await hub.subscribe(
            to: selection, after: id.isEmpty ? "earliest" : id, profile: profile)
        guard !subscription.isOver else { return true }
        // A plain stream does not say where it begins.
        parser = EventStreamParser(lastEventID: profile == .plain ? id : subscription.position.text)
        chunks = ChunkedDecoder(isChunked: framing == .chunked)
        bytes = []
        (socket, token) = shard.open(subscription, framing: framing)
        return false
    }

    func receive(from shard: SimulatedShard) throws {
        let more = try chunks.decode(shard.network.takeReceived(of: socket))
        bytes += more
        for case .event(let event) in try parser.parse(more) {
            switch event.event {
            case nil: read.append(event.data ?? "")
            case StreamProfile.heartbeatType: heartbeats += 1
            case TopicEnd.eventType: ends.append(event.data ?? "")
            default: gaps += 1
            }
        }
    }

    /// The blocks of this connection, each with its lines. A block at the end may be incomplete.
    var blocks: [[Substring]] {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n\n").map { $0.split(separator: "\n") }
    }
}

@Suite struct StreamProfileTests {
    @Test("A profile costs no memory for a subscriber")
    func profileCostsNoMemory() {
        #expect(MemoryLayout<Sinks<FakeTransport>.Member>.stride == 24)
        #expect(MemoryLayout<WireBytes>.stride == 40)
    }

    @Test("Clients of each profile see every event once and what the profile has besides", arguments: 0..<12)
    func clientsOfEachProfile(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let windowBytes = [1, 2000, 1_000_000].randomElement(using: &random) ?? 1
        let log: any Log = round % 3 == 2 ? VectorLog(VectorLog.Store(), readsFirst: .first) : MemoryLog()
        let base = HubConfiguration.with { $0.chooseReplays(using: &random) }
        try await withHub(log: log, windowBytes: windowBytes, base: base) { [random] hub in
            var random = random
            let shard = SimulatedShard(hub, seed: seed)
            let topics: [Topic] = ["a", "b"]
            var clients: [Client] = []
            for profile in StreamProfile.allCases {
                for names in [["a"], Set(topics)] as [Set<Topic>] {
                    for framing in [Framing.chunked, .plain] {
                        let client = Client(profile, framing, Selection(topics: names))
                        #expect(try await !client.connect(to: hub, shard))
                        clients.append(client)
                    }
                }
            }
            var published: [Event] = []
            for _ in 0..<200 {
                let client = clients[Int.random(in: 0..<clients.count, using: &random)]
                switch Int.random(in: 0..<12, using: &random) {
                case 0..<4:
                    let events = (0..<Int.random(in: 1...8, using: &random)).map { offset in
                        Event(
                            topic: topics[Int.random(in: 0..<2, using: &random)], data: "\(published.count + offset)")
                    }
                    try await hub.publish(contentsOf: events)
                    published += events
                case 4..<7: shard.pass()
                case 7: if shard.network.unblock(client.socket) { shard.sinks.resume(client.token, now: shard.now) }
                case 8, 9: shard.sinks.beat(now: shard.now)
                case 10: try client.receive(from: shard)
                default:
                    if Bool.random(using: &random) { try client.receive(from: shard) }
                    shard.network.breakConnection(of: client.socket)
                    if Bool.random(using: &random) { shard.sinks.receive(client.token) }
                    #expect(try await !client.connect(to: hub, shard), "seed \(seed)")
                }
            }
            shard.network.isKind = true
            /// Moves all clients until a condition holds for each.
            func move(until condition: (Client) -> Bool) async throws {
                let end = ContinuousClock.now + TestConnection.patience * 10
                while !clients.allSatisfy(condition) {
                    try #require(ContinuousClock.now < end, "seed \(seed)")
                    for client in clients {
                        if shard.network.unblock(client.socket) { shard.sinks.resume(client.token, now: shard.now) }
                        try client.receive(from: shard)
                    }
                    shard.pass()
                    try await Task.step()
                }
            }
            func count(_ client: Client) -> Int { published.count { client.selection.contains($0) } }
            try await move { $0.read.count >= count($0) }
            for _ in 0..<3 {
                shard.pass()
                shard.sinks.beat(now: shard.now)
            }
            for topic in topics { try await hub.close(topic) }
            try await move { shard.network.sockets[$0.socket]?.isFinished == true }
            for client in clients { try client.receive(from: shard) }
            for client in clients {
                let expected = published.filter { client.selection.contains($0) }
                // A vector log has an order for each topic.
                let isComplete = client.read.sorted() == expected.map(\.data).sorted()
                #expect(isComplete, "seed \(seed), \(client.profile)")
                for topic in topics {
                    let own = expected.filter { $0.topic == topic }.map(\.data)
                    let isInOrder = client.read.filter(Set(own).contains) == own
                    #expect(isInOrder, "seed \(seed), \(client.profile), \(topic)")
                }
                #expect(client.gaps == 0)
                let blocks = client.blocks
                let idsOnly = blocks.filter { lines in
                    lines.contains { $0.hasPrefix("id:") } && !lines.contains { $0.hasPrefix("data:") }
                }
                switch client.profile {
                case .plain:
                    #expect(idsOnly.isEmpty && client.ends.isEmpty && client.heartbeats == 0, "seed \(seed)")
                    // Nothing but events, comments and times to wait.
                    for lines in blocks {
                        let names = Set(lines.map { $0.prefix { $0 != ":" } })
                        #expect(names.isSubset(of: ["", "retry"]) || names.isSuperset(of: ["id", "data"]))
                    }
                case .heartbeatEvents:
                    #expect(client.heartbeats > 0, "seed \(seed)")
                    #expect(client.ends.count >= client.selection.selectors.count, "seed \(seed)")
                case .standard:
                    #expect(client.heartbeats == 0)
                    #expect(client.ends.count >= client.selection.selectors.count, "seed \(seed)")
                }
                #expect(try await client.connect(to: hub, shard), "seed \(seed), \(client.profile)")
            }
            for token in shard.sinks.tokens { shard.sinks.remove(token) }
            #expect(hub.streamCount == 0)
            try await until { hub.feedCount == 0 }
        }
    }

    @Test("A purge is a gap in all profiles but the plain one")
    func purgeIsAGap() async throws {
        try await withHub { hub in
            let shard = SimulatedShard(hub, seed: 1)
            shard.network.isKind = true
            try await hub.publish("before", to: "a")
            var clients: [Client] = []
            for profile in StreamProfile.allCases {
                let client = Client(profile, .plain, Selection(topics: ["a"]))
                #expect(try await !client.connect(to: hub, shard))
                clients.append(client)
            }
            try await until {
                shard.pass()
                for client in clients { try client.receive(from: shard) }
                return clients.allSatisfy { $0.read == ["before"] }
            }
            try await hub.purge("a")
            try await hub.publish("after", to: "a")
            try await until {
                shard.pass()
                for client in clients { try client.receive(from: shard) }
                return clients.allSatisfy { $0.read == ["before", "after"] }
            }
            #expect(clients.map(\.gaps) == clients.map { $0.profile == .plain ? 0 : 1 })
            for token in shard.sinks.tokens { shard.sinks.remove(token) }
        }
    }

    @Test("A newcomer to a plain stream of ended topics has come too late, and one that comes back gets the rest")
    func newcomerToAPlainStream() async throws {
        try await withHub { hub in
            let selection = Selection(topics: ["a"])
            let ids = try await hub.publish(numbers: 0..<3, to: "a")
            func isOver(after id: String?, since age: Duration? = nil) async throws -> Bool {
                try await hub.subscribe(to: selection, after: id, since: age, profile: .plain).isOver
            }
            #expect(try await !isOver(after: nil))
            let end = try await hub.close("a")
            try await until { hub.end.text == end }
            #expect(try await isOver(after: nil))
            #expect(try await isOver(after: nil, since: .seconds(3600)))
            #expect(try await !isOver(after: "earliest"))
            #expect(try await !isOver(after: ids[1]))
            #expect(try await isOver(after: ids[2]))
            #expect(try await isOver(after: end))
            // The end is still to be told.
            #expect(try await !hub.subscribe(to: selection, after: ids[2]).isOver)
            let several = Selection(topics: ["a", "b"])
            let subscription = try await hub.subscribe(to: several, after: nil, profile: .plain)
            #expect(!subscription.isOver)
            #expect(subscription.ended.topics == ["a"])
            #expect(!subscription.ended.areAll)
        }
    }
}

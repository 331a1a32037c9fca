// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import TestSupport
import Testing

@testable import Martlet

@Suite("History on its way to those who catch up", .timeLimit(.minutes(10)))
struct ReplayBudgetTests {
    private static let sliceBytes = 8192
    private static let reads = 2

    /// So many whole slices may be kept for subscribers that cannot take them, besides those that are on their way.
    private func configuration(keeping slices: Int) -> HubConfiguration {
        .with {
            $0.slice = SliceLimit(events: 16, bytes: Self.sliceBytes)
            $0.concurrentReads = Self.reads
            $0.replayBytes = (Self.reads + slices) * Self.sliceBytes
        }
    }

    @Test(
        "However many take nothing, they hold no more than the budget, and in the end get everything",
        arguments: [0, 3])
    func stalledHerd(slices: Int) async throws {
        let configuration = configuration(keeping: slices)
        try await withHub(windowBytes: 1, base: configuration) { hub in
            let data = String(repeating: "x", count: 300)
            var ids: [String] = []
            for number in 0..<200 { ids.append(try await hub.publish("\(number) \(data)", to: "news")) }
            try await until { hub.end.text == ids.last }
            let shard = SimulatedShard(hub, seed: 1)
            var clients: [(socket: Int32, token: SinkToken, start: Int)] = []
            for start in 0..<40 {
                let subscription = try await hub.subscribe(to: .of("news"), after: ids[start])
                let (socket, token) = shard.open(subscription, framing: .plain)
                shard.network.full.insert(socket)
                clients.append((socket, token, start))
            }
            var most = 0
            while !clients.allSatisfy({ shard.network.sockets[$0.socket]?.isBlocked == true }) {
                shard.pass()
                most = max(most, hub.fanOut.replayer.budget.byteCount)
                try await Task.step()
            }
            #expect(most <= configuration.replayBytes)
            #expect(slices == 0 || hub.fanOut.replayer.budget.byteCount > 0)

            shard.network.full = []
            let last = "data: 199 "
            func isDone(_ socket: Int32) -> Bool {
                let end = String(decoding: shard.network.sockets[socket]?.received.suffix(1000) ?? [], as: UTF8.self)
                return end.contains(last) && end.hasSuffix("\n\n")
            }
            while !clients.allSatisfy({ isDone($0.socket) }) {
                for client in clients where shard.network.unblock(client.socket) {
                    shard.sinks.resume(client.token, now: shard.now)
                }
                shard.pass()
                most = max(most, hub.fanOut.replayer.budget.byteCount)
                try await Task.step()
            }
            for client in clients {
                var parser = EventStreamParser()
                var read: [Int] = []
                for case .event(let event) in try parser.parse(shard.network.takeReceived(of: client.socket)) {
                    read.append(Int(event.data?.prefix { $0 != " " } ?? "") ?? -1)
                }
                #expect(read == Array(client.start + 1..<200))
            }
            #expect(most <= configuration.replayBytes)
            #expect(hub.fanOut.replayer.budget.byteCount == 0)
        }
    }

    @Test("Between two turns of live delivery those who catch up have at most as long as it took, or a moment")
    func turns() {
        let start = ContinuousClock.now
        #expect(Turns.end(liveSince: start, now: start) == start + Turns.moment)
        let after = start + .milliseconds(20)
        #expect(Turns.end(liveSince: start, now: after) == after + .milliseconds(20))
    }

    @Test("A turn of those who catch up ends when its time is over, and goes on where it stopped")
    func oneTurn() async throws {
        // Each may have a slice of its own.
        let configuration = HubConfiguration.with { $0.concurrentReads = 5 }
        try await withHub(windowBytes: 1, base: configuration) { hub in
            try await hub.publish(numbers: 0..<10, to: "news")
            let shard = SimulatedShard(hub, seed: 1)
            shard.network.isKind = true
            var sockets: [Int32] = []
            for _ in 0..<5 {
                let subscription = try await hub.subscribe(to: .of("news"), after: "earliest")
                sockets.append(shard.open(subscription, framing: .plain).socket)
            }
            while shard.sinks.line.count < 5 {
                shard.takeAnswers()
                try await Task.step()
            }
            func served() -> Int { sockets.count { shard.network.sockets[$0]?.received.isEmpty == false } }
            // Each takes a third of a moment.
            for expected in [3, 5] {
                var now = shard.now
                shard.sinks.takeTurns(liveSince: now) {
                    defer { now += Turns.moment / 3 + .nanoseconds(1) }
                    return now
                }
                #expect(served() == expected)
            }
        }
    }

    @Test("However many catch up, what is live waits for no more of them than fit into a moment")
    func liveAmongReplays() async throws {
        try await withHub(windowBytes: 1000, base: .with { $0.slice = SliceLimit(events: 10) }) { hub in
            try await hub.publish(numbers: 0..<500, to: "past")
            let shard = SimulatedShard(hub, seed: 1)
            shard.network.isKind = true
            let live = shard.open(try await hub.subscribe(to: .of("live"), after: nil), framing: .plain).socket
            var herd: [Int32] = []
            for _ in 0..<100 {
                let subscription = try await hub.subscribe(to: .of("past"), after: "earliest")
                herd.append(shard.open(subscription, framing: .plain).socket)
            }
            shard.sendTime = Turns.moment / 8
            var number = 0
            while !herd.allSatisfy({ isLast("499", received: shard.network.sockets[$0]?.received) }) {
                try await hub.publish(numbers: number..<number + 1, to: "live")
                try await until { shard.hasGrown }
                shard.pass()
                // Who is live is first, and then come so many that the next one waits for a moment.
                let sends = shard.network.takeSends()
                #expect(sends.first == live)
                #expect(sends.count <= 1 + 8)
                #expect(isLast("\(number)", received: shard.network.sockets[live]?.received))
                number += 1
                try await Task.step()
            }
        }
    }

    @Test("A client that has much to read delays the others by one slice at most")
    func fairness() async throws {
        try await withHub(windowBytes: 1, base: .oneSmallSlice) { hub in
            let ids = try await hub.publish(numbers: 0..<1000, to: "past")
            let shard = SimulatedShard(hub, seed: 1)
            shard.network.isKind = true
            let open = { (id: String) in
                shard.open(try await hub.subscribe(to: .of("past"), after: id), framing: .plain).socket
            }
            let long = try await open("earliest")
            var short: [Int32] = []
            for number in 990..<999 { short.append(try await open(ids[number])) }
            while !short.allSatisfy({ isLast("999", received: shard.network.sockets[$0]?.received) }) {
                shard.pass()
                try await Task.step()
            }
            let order = shard.network.takeSends()
            let lastOfShort = try #require(order.lastIndex(of: short[8]))
            #expect(order.prefix(lastOfShort).count { $0 == long } <= 2)
        }
    }

    @Test("A reader that leaves at any moment gives up its place and its slice")
    func leaving() async throws {
        try await withHub(windowBytes: 1, base: .oneSmallSlice) { hub in
            try await hub.publish(numbers: 0..<100, to: "past")
            let shard = SimulatedShard(hub, seed: 1)
            shard.network.isKind = true
            let open = { shard.open(try await hub.subscribe(to: .of("past"), after: "earliest"), framing: .plain) }
            let leave: [(Int32, SinkToken) async throws -> Void] = [
                // Before anything was read, when the slice is there, and when its socket is full.
                { _, token in shard.sinks.remove(token) },
                { _, token in
                    while shard.sinks.line.isEmpty {
                        shard.takeAnswers()
                        try await Task.step()
                    }
                    shard.sinks.remove(token)
                },
                { socket, token in
                    shard.network.full = [socket]
                    while shard.network.sockets[socket]?.isBlocked == false {
                        shard.pass()
                        try await Task.step()
                    }
                    #expect(hub.fanOut.replayer.budget.byteCount > 0)
                    shard.sinks.end(token, because: .drained, retry: .seconds(1), now: shard.now)
                    #expect(hub.fanOut.replayer.budget.byteCount == 0)
                },
            ]
            for leave in leave {
                let (socket, token) = try await open()
                try await leave(socket, token)
            }
            // There is one place only, and it is free.
            let (socket, _) = try await open()
            while !isLast("99", received: shard.network.sockets[socket]?.received) {
                shard.pass()
                try await Task.step()
            }
            #expect(hub.fanOut.replayer.budget.byteCount == 0)
        }
    }
}

/// Whether a client has received the event with this data last.
private func isLast(_ data: String, received: [UInt8]?) -> Bool {
    String(decoding: received?.suffix(100) ?? [], as: UTF8.self).hasSuffix("data: \(data)\n\n")
}

extension HubConfiguration {
    /// One slice of ten events is on its way at a time.
    fileprivate static let oneSmallSlice = with {
        $0.slice = SliceLimit(events: 10)
        $0.concurrentReads = 1
    }
}

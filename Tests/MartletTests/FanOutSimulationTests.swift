// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Martlet

/// A client with all its connections.
private final class Reader {
    let selection: Selection
    private(set) var connection: SinkClient
    /// What it has read on the connections before.
    private var before: [String] = []

    var read: [String] { before + connection.events.map { $0.data ?? "" } }

    private let watermark: Int?

    init(_ hub: Hub, _ selection: Selection, watermark: Int?, loop: NIOAsyncTestingEventLoop) async throws {
        self.selection = selection
        self.watermark = watermark
        connection = try await SinkClient(hub, selection, watermark: watermark, loop: loop)
    }

    /// Loses the connection with everything on it that was not read, and comes back with the last id.
    func reconnect(to hub: Hub, loop: NIOAsyncTestingEventLoop) async throws {
        try await connection.close()
        before = read
        connection = try await SinkClient(
            hub, selection, after: connection.lastEventID, watermark: watermark, loop: loop)
    }
}

/// Clients that block, leave, come back and fall behind, at random, beside a publisher: each of them sees every event of
/// its topics exactly once and in order, whatever the schedule.
@Suite struct FanOutSimulationTests {
    private let topics: [Topic] = ["a", "b", "c"]

    @Test("Every client sees every event of its topics exactly once and in order", arguments: 0..<12)
    func everyClientSeesEveryEvent(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let windowBytes = [1, 1000, 20_000, 1_000_000].randomElement(using: &random) ?? 1
        let log: any Log =
            round % 3 == 2
            ? VectorLog(VectorLog.Store(), readsFirst: .second) : MemoryLog()
        let base = HubConfiguration.with {
            $0.writeTimeout = .seconds(86_400)
            // The loops of this test run only now and then, and hold up nobody.
            $0.maximumShardLag = .max
            $0.chooseReplays(using: &random)
        }
        try await withHub(log: log, windowBytes: windowBytes, base: base) { [random, topics] hub in
            var random = random
            let loops = [NIOAsyncTestingEventLoop(), NIOAsyncTestingEventLoop()]
            var readers: [Reader] = []
            for (index, names) in ([["a"], ["a"], ["b", "c"], Set(topics)] as [Set<Topic>]).enumerated() {
                let watermark = [nil, 1, 300, 2000].randomElement(using: &random) ?? nil
                readers.append(
                    try await Reader(hub, Selection(topics: names), watermark: watermark, loop: loops[index % 2]))
            }
            var published: [Event] = []
            for _ in 0..<250 {
                let reader = readers[Int.random(in: 0..<readers.count, using: &random)]
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<4:
                    let events = (0..<Int.random(in: 1...20, using: &random)).map { offset in
                        let data = "\(published.count + offset)"
                        return Event(
                            topic: topics[Int.random(in: 0..<3, using: &random)], data: data,
                            id: log is VectorLog || Bool.random(using: &random) ? nil : "own-\(data)")
                    }
                    try await hub.publish(contentsOf: events)
                    published += events
                case 4, 5: try await reader.connection.setWritable(false)
                case 6, 7: try await reader.connection.setWritable(true)
                case 8: await reader.connection.loop.advanceTime(by: .seconds(15))
                default:
                    if Bool.random(using: &random) { try await reader.connection.read() }
                    try await reader.reconnect(to: hub, loop: loops[Int.random(in: 0...1, using: &random)])
                }
            }
            for reader in readers {
                let expected = published.filter { reader.selection.contains($0) }
                try await reader.connection.setWritable(true)
                try await reader.connection.read { _ in reader.read.count >= expected.count }
                // Across the partitions of a log nodes agree on no order; within a topic everybody does.
                #expect(reader.read.sorted() == expected.map(\.data).sorted(), "seed \(seed)")
                for topic in reader.selection.selectors.compactMap(\.exactTopic) {
                    let own = expected.filter { $0.topic == topic }.map(\.data)
                    let read = reader.read.filter(Set(own).contains)
                    #expect(read == own, "seed \(seed), topic \(topic)")
                }
                try await reader.connection.close()
            }
            #expect(hub.feedCount == 0)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import TestSupport
import Testing

@testable import Martlet

@Suite("How far the shards have come")
struct ShardProgressTests {
    private final class Name: Sendable {}
    private let one = Name()
    private let two = Name()
    private var progress = ShardProgress()

    private mutating func tell(_ shard: Name, _ before: UInt64, _ last: UInt64) {
        progress.tell(
            ObjectIdentifier(shard), before: SequenceNumber(rawValue: before), last: SequenceNumber(rawValue: last))
    }

    private mutating func reach(_ shard: Name, _ number: UInt64) {
        progress.reach(ObjectIdentifier(shard), SequenceNumber(rawValue: number))
    }

    @Test("The slowest is who has written the least of what it was told of")
    mutating func slowest() {
        #expect(progress.slowest == nil)
        tell(one, 3, 5)
        tell(two, 5, 8)
        #expect(progress.slowest?.rawValue == 3)
        reach(one, 4)
        #expect(progress.slowest?.rawValue == 4)
        reach(one, 5)
        #expect(progress.slowest?.rawValue == 5, "the first has nothing more to do")
        tell(one, 8, 9)
        reach(two, 9)
        #expect(progress.slowest?.rawValue == 8)
        reach(one, 9)
        #expect(progress.slowest == nil)
    }

    @Test("Where it stands does not change with what it is told of meanwhile")
    mutating func told() {
        tell(one, 3, 5)
        tell(one, 5, 9)
        #expect(progress.slowest?.rawValue == 3)
        reach(one, 5)
        #expect(progress.slowest?.rawValue == 5)
    }

    /// Hears and does nothing until it is told to.
    private final class LazyShard: Shard, Sendable {
        func feedsGrew(_ feeds: [FeedID]) {}
        func drain() {}
    }

    @Test("A shard that does not keep up holds up the log, and through it publishers, until it does")
    func holdsUp() async throws {
        var queue = PublishQueue()
        queue.backlogBytes = 1
        queue.patience = .milliseconds(1)
        let log = MemoryLog(queue: queue)
        try await withHub(log: log, base: .with { $0.maximumShardLag = 1000 }) { hub in
            try await hub.waitUntilRunning()
            let shard = LazyShard()
            let (feed, _) = try hub.fanOut.open(Selection(topics: ["news"]))
            hub.fanOut.listen(shard, to: feed)
            let text = String(repeating: "x", count: 400)
            var accepted = 0
            let error = await #expect(throws: MartletError.self) {
                for _ in 0..<100 {
                    try await hub.publish(text, to: "news")
                    accepted += 1
                }
            }
            #expect(error?.code == .overloaded)
            #expect((2...8).contains(accepted))
            hub.fanOut.reached(hub.fanOut.tail.sequence, by: shard)
            try await until { (try? await hub.publish(text, to: "news")) != nil }
            hub.fanOut.ignore(shard, feed)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import TestSupport
import Testing

@testable import MartletKafka

@Suite("What a node knows besides the events of a Kafka topic", .timeLimit(.minutes(10)))
struct PresentTests {
    @Test("A new node knows what the state topic and history say, and without a state topic what its window says")
    func window() async throws {
        try await MockCluster.with { cluster in
            let writer = cluster.log()
            _ = try await writer.open()
            var written = Event(topic: "job", data: "7", key: "progress")
            written.writer = TopicWriter("worker", epoch: 3)
            written.topicExpires = WallTime(milliseconds: 4_000_000_000_000)
            _ = try await writer.append([Event(topic: "old", data: "1", key: "k")])
            _ = try await writer.append([.end(of: "old/chat")])
            _ = try await writer.append([written])
            _ = try await writer.append([
                Event(topic: "a", data: "1", key: "k"), Event(topic: "a", data: "2", key: "k"),
            ])
            let end = try await writer.append([Event(topic: "chat", data: "bye"), .end(of: "chat")])[1]
            await writer.close()

            let all = cluster.log()
            let known = try await all.present(through: all.open())
            #expect(
                known.values.map(\.event) == [
                    Event(topic: "old", data: "1", key: "k"), written, Event(topic: "a", data: "2", key: "k"),
                ])
            #expect(known.topics.all.map(\.topic) == ["old/chat", "job", "chat"])
            #expect(known.topics["job"]?.writer == written.writer)
            #expect(known.topics["job"]?.expires == written.topicExpires)
            let told = try #require(known.topics["chat"]?.end)
            #expect(all.covers(told, end) && all.covers(end, told))
            await all.close()

            try cluster.produce((0..<PartitionWindow.repeatDistance).map { ("noise", Array("\($0)".utf8)) })
            let short = cluster.log { $0.windowRecords = 3 }
            let same = try await short.present(through: short.open())
            #expect(same.values == known.values)
            #expect(same.topics.all == known.topics.all)
            await short.close()

            let alone = cluster.log {
                $0.windowRecords = 3
                $0.stateTopic = ""
            }
            let nothing = try await alone.present(through: alone.open())
            #expect(nothing.values.isEmpty && nothing.topics.isEmpty)
            await alone.close()
        }
    }

    @Test("A hub refuses what comes behind an end that it has read, also after a restart")
    func ends() async throws {
        try await MockCluster.with { cluster in
            let other = cluster.log()
            _ = try await other.open()
            let end = try await other.append([.end(of: "chat")])[0]
            for _ in 0..<2 {
                let hub = Hub(log: cluster.log(), logger: quiet)
                let running = Task { try await hub.run() }
                await #expect { try await hub.publish("late", to: "chat") } throws: {
                    ($0 as? MartletError)?.code == .topicEnded
                }
                await #expect {
                    try await hub.publish(contentsOf: [Event(topic: "chat", data: "late")], once: "key")
                } throws: {
                    ($0 as? MartletError)?.code == .topicEnded
                }
                let again = try await hub.close("chat")
                #expect(other.covers(try Position(again), end))
                running.cancel()
                try await running.value
            }
            await other.close()
        }
    }

    @Test("What other producers say about their topics in headers is known")
    func headers() async throws {
        try await MockCluster.with { cluster in
            let producer = TopicProducer(cluster.configuration, logger: quiet)
            func draft(_ topic: String, _ headers: [(String, String)]) -> TopicProducer.Draft {
                TopicProducer.Draft(
                    partition: 0, key: Array(topic.utf8), value: Array("data".utf8),
                    headers: headers.map { ($0, Array($1.utf8)) })
            }
            _ = try producer.send([
                draft("a", [("martlet-end", "1")]), draft("b", [("martlet-writer", "12 w x"), ("martlet-key", "k")]),
                draft("c", [("martlet-topic-expires", "4000000000000")]), draft("d", [("martlet-end", "maybe")]),
                draft("e", [("martlet-writer", "w")]), draft("f", [("martlet-expires", "1.5")]),
            ])
            let log = cluster.log()
            let present = try await log.present(through: log.open())
            #expect(present.topics.all.map(\.topic) == ["a", "b", "c"])
            #expect(present.topics["b"]?.writer == TopicWriter("w x", epoch: 12))
            #expect(present.topics["c"]?.expires == WallTime(milliseconds: 4_000_000_000_000))
            #expect(present.values.map(\.event.topic) == ["b"])
            await log.close()
        }
    }
}
#endif

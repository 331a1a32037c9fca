// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletSupport
import TestSupport
import Testing

@testable import MartletKafka

@Suite("The state topic beside a Kafka topic", .timeLimit(.minutes(3)))
struct StateTopicTests {
    /// Says something of five topics and keys, and takes something back.
    private let story: [[Event]] = {
        var written = Event(topic: "job", data: "7", key: "progress")
        written.writer = TopicWriter("worker", epoch: 3)
        return [
            [Event(topic: "a", data: "1", key: "x")], [Event(topic: "a", data: "1", key: "y")], [.end(of: "chat")],
            [Event(topic: "a", data: "2", key: "x"), written], [Event(topic: "old", data: "1", key: "z")],
            [.purge(of: "old"), Event(topic: "a", data: "", key: "y")], [Event(topic: "a", data: "3", key: "x")],
        ]
    }()

    private func expectStory(_ present: Present, _ comment: Comment? = nil) {
        #expect(present.values.map(\.event.data) == ["7", "3"], comment)
        #expect(present.topics.all.map(\.topic) == ["chat", "job", "old"], comment)
        #expect(present.topics["chat"]?.end != nil && present.topics["old"]?.goneThrough != nil, comment)
        #expect(present.topics["job"]?.writer == TopicWriter("worker", epoch: 3), comment)
    }

    /// Publishes events, and returns once the state topic has what they say.
    private func store(_ publishes: [[Event]], in log: KafkaLog) async throws {
        for events in publishes {
            let end = try await log.append(events)
            for position in end { _ = try await log.present(through: position) }
        }
        try await until { log.isStored }
    }

    /// What the brokers keep of the records of a state topic when they compact it.
    private func kept(_ records: [StateMessage]) -> [StateMessage] {
        let last = Dictionary(records.map { ($0.key ?? "", $0.offset) }) { $1 }
        return records.filter { last[$0.key ?? ""] == $0.offset && $0.value != nil }
    }

    private func node(_ cluster: MockCluster, _ change: (inout KafkaLogConfiguration) -> Void = { _ in }) -> KafkaLog {
        cluster.log {
            $0.windowRecords = 3
            $0.checkpointRecords = 1
            change(&$0)
        }
    }

    @Test("A node knows the state, whether or not the brokers have compacted the state topic")
    func compaction() async throws {
        try await MockCluster.with(topics: "martlet:1", "martlet.state:1", "compacted:1") { cluster in
            let log = node(cluster)
            _ = try await log.open()
            // Several rounds of the writer, so that there are records that others replace.
            for events in story { try await store([events], in: log) }
            await log.close()
            let all = try cluster.stateRecords()
            let kept = kept(all)
            #expect(kept.count == 7 && all.count > kept.count)
            try cluster.produce(kept.map { ($0.key ?? "", $0.value) }, to: "compacted")
            for topic in ["martlet.state", "compacted"] {
                let next = node(cluster) {
                    $0.stateTopic = topic
                    $0.isReadOnly = true
                }
                try await expectStory(next.present(through: next.open()), "\(topic)")
                await next.close()
            }
            #expect(try cluster.stateRecords("compacted").count == kept.count)
        }
    }

    @Test("What a node had not written when it died, the next one reads from history, and writes")
    func died() async throws {
        try await MockCluster.with(topics: "martlet:1", "martlet.state:1") { cluster in
            let dead = node(cluster) { $0.stateInterval = .seconds(1000) }
            _ = try await dead.open()
            for events in story { _ = try await dead.append(events) }
            try cluster.produce((0..<2 * PartitionWindow.repeatDistance).map { ("noise", Array("\($0)".utf8)) })
            #expect(try cluster.stateRecords().isEmpty)
            let next = node(cluster)
            try await expectStory(next.present(through: next.open()))
            try await until { next.isStored }
            let written = try cluster.stateRecords()
            #expect(kept(written).count == 7)
            await next.close()
            let last = node(cluster)
            try await expectStory(last.present(through: last.open()))
            #expect(last.isStored)
            await last.close()
            #expect(try cluster.stateRecords().count == written.count)
            await dead.close()
        }
    }

    @Test("Several nodes write the same, and a new one knows it")
    func nodes() async throws {
        try await MockCluster.with(topics: "martlet:3", "martlet.state:2") { cluster in
            let nodes = (0..<3).map { _ in node(cluster) { $0.hasManyPartitions = true } }
            for log in nodes { _ = try await log.open() }
            var expected: [String: String] = [:]
            for round in 0..<40 {
                let (topic, key) = (try Topic("t/\(round % 5)"), "k\(round % 7)")
                let data = round % 3 == 0 ? "" : "\(round)"
                _ = try await nodes[round % 3].append([Event(topic: topic, data: data, key: key)])
                expected["\(topic) \(key)"] = data.isEmpty ? nil : data
            }
            let end = try await nodes[0].append([.end(of: "chat")])[0]
            for log in nodes {
                _ = try await log.present(through: end)
                try await until { log.isStored }
            }
            let next = node(cluster) { $0.hasManyPartitions = true }
            let present = try await next.present(through: next.open())
            let found = present.values.map { ("\($0.event.topic) \($0.event.key ?? "")", $0.event.data) }
            #expect(Dictionary(uniqueKeysWithValues: found) == expected)
            #expect(present.topics.all.map(\.topic) == ["chat"])
            for log in nodes + [next] { await log.close() }
        }
    }

    @Test("Events without a key or a life cost no record of the state topic, but a rare checkpoint")
    func noise() async throws {
        try await MockCluster.with(topics: "martlet:1", "martlet.state:1") { cluster in
            let log = cluster.log { $0.checkpointRecords = 1000 }
            _ = try await log.open()
            try await log.append("noise", "first")
            try await until { try cluster.stateRecords().count == 1 }
            for number in 0..<50 { try await log.append("noise", "\(number)") }
            _ = try await log.append([Event(topic: "a", data: "1", key: "k")])
            // A record for the value, and a checkpoint.
            try await until { try cluster.stateRecords().count == 3 }
            await log.close()
            #expect(try cluster.stateRecords().count == 3)
        }
    }

    @Test("Values that the state topic does not accept are not kept, and neither are older ones in their place")
    func tooLarge() async throws {
        try await MockCluster.with(topics: "martlet:1", "martlet.state:1") { cluster in
            let log = node(cluster)
            _ = try await log.open()
            try await store(
                [[Event(topic: "a", data: "1", key: "k")], [Event(topic: "a", data: "small", key: "l")]], in: log)
            await log.close()
            let second = node(cluster) { $0.stateInterval = .seconds(1000) }
            _ = try await second.open()
            let end = try await second.append([Event(topic: "a", data: "2", key: "k")])[0]
            #expect(try await second.present(through: end).values.map(\.event.data) == ["small", "2"])
            // It writes when it closes. The batch is refused, and then the record alone.
            try cluster.run("errors 0 10 10")
            await second.close()
            #expect(second.isStored)
            let next = node(cluster)
            #expect(try await next.present(through: next.open()).values.map(\.event.data) == ["small"])
            await next.close()
        }
    }

    @Test("The state of a topic that was made again, or lost its newest records, is not that of before")
    func again() async throws {
        try await MockCluster.with(topics: "martlet:1", "martlet.state:1") { cluster in
            let log = node(cluster)
            _ = try await log.open()
            try await store(story, in: log)
            await log.close()
            let records = try cluster.stateRecords().map { ($0.key ?? "", $0.value) }
            let format = try #require(log.node.stateFormat)

            // A state topic that knows of an event that the topic has not: it was lost after it was written.
            let lost = StateVersion(partition: 0, progress: Progress(next: 8), stamp: Stamp(ofRecordAt: 5))
            let name = StateName(topic: "a", key: ExactText("x"))
            try cluster.run("topic rolledback 1")
            try cluster.produce(
                records + [
                    (String(decoding: format.key(name, lost), as: UTF8.self), Array("removed".utf8)),
                    (String(decoding: format.foldedKey(0), as: UTF8.self), Array(format.text(lost).utf8)),
                ], to: "rolledback")
            let next = node(cluster) { $0.stateTopic = "rolledback" }
            let present = try await next.present(through: next.open())
            expectStory(present)
            try await until { next.isStored }
            await next.close()
        }
    }

    @Test("Records of the state topic that say nothing of this topic are ignored, and counted in the log")
    func others() async throws {
        try await MockCluster.with(topics: "martlet:1", "martlet.state:1") { cluster in
            try cluster.produce([("", []), ("topic x a", nil), ("anything", [0xFF])], to: "martlet.state")
            let log = node(cluster)
            _ = try await log.open()
            try await store(story, in: log)
            try await expectStory(log.present(through: log.open()))
            await log.close()
        }
    }

    @Test("A state topic that the brokers do not make is an error, and one that is there is not made again")
    func making() async throws {
        try await MockCluster.with { cluster in
            // These brokers make no topics when they are asked to, but when they are asked about one.
            let node = KafkaLog(cluster.configuration, logger: quiet).node
            let client = try node.connect().consumer.client
            #expect(throws: LogUnreachable.self) {
                try client.makeCompactedTopic("other", replicas: 1, within: .milliseconds(100))
            }
            #expect(try StateReader(node: node).connect(client)?.partitions == 4)
            #expect(try StateReader(node: node).connect(client)?.partitions == 4)
        }
    }

    @Test("While the state topic cannot be written, publishing goes on, and then it has everything")
    func away() async throws {
        try await MockCluster.with(brokers: 2, topics: "martlet:1", "martlet.state:1") { cluster in
            try cluster.run("leader martlet 0 1")
            try cluster.run("leader martlet.state 0 2")
            let log = node(cluster)
            _ = try await log.open()
            try cluster.run("leader martlet.state 0 -1")
            for events in story {
                for position in try await log.append(events) { _ = try await log.present(through: position) }
            }
            #expect(!log.isStored)
            try cluster.run("leader martlet.state 0 2")
            try await until { log.isStored }
            await log.close()
            let next = node(cluster)
            try await expectStory(next.present(through: next.open()))
            await next.close()
        }
    }
}
#endif

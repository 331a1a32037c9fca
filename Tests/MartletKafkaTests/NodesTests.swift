// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletSupport
import TestSupport
import Testing

@testable import MartletKafka

@Suite("Nodes on one Kafka topic", .timeLimit(.minutes(10)))
struct NodesTests {
    @Test("Publishes with one key on several nodes at the same time are accepted once, and get the same answer")
    func sameKey() async throws {
        try await MockCluster.with { cluster in
            let logs = (0..<3).map { _ in cluster.log { $0.patience = .seconds(20) } }
            var start = Position.earliest
            for log in logs { start = try await log.open() }
            for round in 0..<30 {
                let events = [Event(topic: "a", data: "\(round)"), Event(topic: "b", data: "\(round)")]
                let answers = try await withThrowingTaskGroup(of: [Position].self) { group in
                    for log in logs { group.addTask { try await log.append(events, once: "user\nkey \(round)") } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(Set(answers).count == 1)
            }
            for log in logs {
                let data = try await read(60, of: log, after: start).map(\.event.data)
                #expect(data == (0..<30).flatMap { ["\($0)", "\($0)"] })
            }
            // A node with a short window reads the same from the brokers.
            let late = cluster.log { $0.windowRecords = 1 }
            let end = try await late.open()
            let slice = try await late.read(nil, after: .earliest, through: end, limit: SliceLimit())
            #expect(slice.records.map(\.event.data) == (0..<30).flatMap { ["\($0)", "\($0)"] })
            for log in logs + [late] { await log.close() }
        }
    }

    @Test("A client goes on at a node that has not read as far")
    func ahead() async throws {
        try await MockCluster.with { cluster in
            let (a, b) = (cluster.log(), cluster.log())
            for log in [a, b] { _ = try await log.open() }
            for number in 0..<50 {
                let position = try await a.append("a", "\(number)")[0]
                let resolution = try await b.resolve(position.text, for: .of("a"))
                #expect(resolution.gap == nil)
                #expect(b.covers(resolution.position, position) && b.covers(position, resolution.position))
            }
            await a.close()
            await b.close()
        }
    }

    @Test("A position beyond the end of the topic is of events that the topic has lost")
    func beyondEnd() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log()
            _ = try await log.open()
            let position = try await log.append("a", "1")[0]
            var place = try #require(KafkaPlace(position.text, partitions: 1))
            place.progress[0].next = 400
            #expect(try await log.resolve(place.text, for: .of("a")).gap == .rolledBack)
            // The record with this offset is another one.
            place.progress[0].next = 1
            place.stamp = Stamp(ofRecordAt: 77)
            #expect(try await log.resolve(place.text, for: .of("a")).gap == .epoch)
            await log.close()
        }
    }

    @Test("With several partitions a publish answers partition and offset, which says nothing of other partitions")
    func ambiguous() async throws {
        try await MockCluster.with(topics: "martlet:3") { cluster in
            let log = cluster.log { $0.hasManyPartitions = true }
            let start = try await log.open()
            let topics = try (0..<20).map { try Topic("topic/\($0)") }
            for topic in topics { _ = try await log.append([Event(topic: topic, data: "1", id: "id \(topic)")]) }
            var answers: [Position] = []
            for topic in topics {
                answers += try await log.append([Event(topic: topic, data: "2", id: "other \(topic)")])
                answers += try await log.append([Event(topic: topic, data: "2")])
                _ = try await log.append([Event(topic: topic, data: "3")])
            }
            let records = try await read(80, of: log, after: start)
            let end = try #require(records.last).position
            for (index, topic) in topics.enumerated() {
                #expect(records.filter { $0.event.topic == topic }.map(\.event.data) == ["1", "2", "2", "3"])
                let answer = answers[2 * index + 1].text
                let place = try #require(KafkaPlace(answer, partitions: 3))
                #expect(place.isOfOneEvent)
                #expect(place.partition == KafkaNode.partition(of: topic, among: 3))
                for (id, expected) in [(answer, ["3"]), ("other \(topic)", ["2", "3"])] {
                    let own = try await log.resolve(id, for: .of(topic))
                    #expect(own.gap == nil)
                    let rest = try await log.read(.of(topic), after: own.position, through: end, limit: SliceLimit())
                    #expect(rest.records.map(\.event.data) == expected)
                    let all = try await log.resolve(id, for: Selection(selectors: [.every]))
                    #expect(all.gap == .ambiguous)
                }
            }
            await log.close()
        }
    }

    @Test("Old history is read from the brokers, slice by slice, as it is in the window")
    func oldHistory() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log { $0.windowRecords = 10 }
            let start = try await log.open()
            let topics = try (0..<7).map { try Topic("t/\($0)") }
            for batch in 0..<40 {
                _ = try await log.append((0..<100).map { Event(topic: topics[$0 % 7], data: "\(batch * 100 + $0)") })
                for number in 0..<25 { try await log.append("single", "\(batch) \(number)") }
            }
            let all = try await read(5000, of: log, after: start)
            var place = start
            var seen: [String] = []
            let end = try #require(all.last).position
            while place != end {
                let slice = try await log.read(nil, after: place, through: end, limit: SliceLimit(events: 301))
                #expect(slice.gap == nil)
                seen += slice.records.map(\.event.data)
                place = slice.end
            }
            #expect(seen == all.map(\.event.data))
            for index in stride(from: 3, to: 5000, by: 271) {
                let resolution = try await log.resolve(all[index].position.text, for: .of("single"))
                #expect(resolution.gap == nil)
                let slice = try await log.read(
                    .of("single"), after: resolution.position, through: end, limit: SliceLimit(events: 3))
                let expected = all[(index + 1)...].filter { $0.event.topic == "single" }.prefix(3)
                #expect(slice.records == Array(expected))
            }
            await log.close()
        }
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletServiceBus

@Suite("What the nodes of a Service Bus topic know besides their events", .timeLimit(.minutes(10)))
struct PresentTests {
    private func follow(_ log: ServiceBusLog, from place: inout Position, _ count: Int) async throws {
        var left = count
        while left > 0 {
            let slice = try await log.tail(after: place, limit: SliceLimit())
            left -= slice.records.count
            place = slice.end
        }
    }

    @Test("Each node knows ended topics, writers and values once it has received them, also after a restart")
    func nodes() async throws {
        try await Nodes.with(subscriptions: 2) { nodes in
            let logs = [nodes.log("a", keeping: 4), nodes.log("b", keeping: 4)]
            var places = [try await logs[0].open(), try await logs[1].open()]
            var written = Event(topic: "job", data: "1", key: "k")
            written.writer = TopicWriter("w", epoch: 7)
            _ = try await logs[0].append([Event(topic: "chat", data: "hi"), .end(of: "chat"), written])
            for number in 0..<12 { _ = try await logs[1].append([Event(topic: "busy", data: "\(number)")]) }
            for (index, log) in logs.enumerated() { try await follow(log, from: &places[index], 15) }
            for (log, name) in zip(logs, ["a", "b"]) {
                let before = try await log.present(through: log.open())
                await log.close()
                let again = nodes.log(name, keeping: 4)
                let end = try await again.open()
                let after = try await again.present(through: end)
                for present in [before, after] {
                    #expect(present.topics["job"]?.writer == TopicWriter("w", epoch: 7))
                    #expect(present.topics["chat"]?.end != nil)
                    #expect(present.values.map(\.event) == [written])
                }
                #expect(after.topics["chat"]?.end.map { again.covers(end, $0) } == true)
                #expect(after.values.allSatisfy { again.covers(end, $0.position) })
                await again.close()
            }
        }
    }

    @Test("An event that another node accepts before it has read the end is delivered to all nodes")
    func race() async throws {
        try await Nodes.with(subscriptions: 2) { nodes in
            let logs = [nodes.log("a"), nodes.log("b")]
            var places = [try await logs[0].open(), try await logs[1].open()]
            async let end = logs[0].append([.end(of: "chat")])
            async let late = logs[1].append([Event(topic: "chat", data: "raced")])
            _ = try await (end, late)
            for (index, log) in logs.enumerated() {
                try await follow(log, from: &places[index], 2)
                #expect(try await log.present(through: places[index]).topics["chat"]?.end != nil)
                #expect(log.fault == nil)
            }
        }
    }
}
#endif

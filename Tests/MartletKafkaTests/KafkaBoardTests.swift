// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletKafka

@Suite("The board of nodes, on a Kafka topic", .timeLimit(.minutes(10)))
struct KafkaBoardTests {
    @Test("The board keeps the contract", arguments: NodeBoardContract.checks)
    func contract(check: NodeBoardContract.Check) async throws {
        try await MockCluster.with { cluster in
            let logs = [cluster.log(), cluster.log()]
            try await check.run {
                let nodes = logs.map { LogBoard(on: $0, name: "test", maximumBytes: NodeBoardContract.maximumBytes) }
                return SharedBoard(nodes: nodes) { try await Task.sleep(for: $0) }
            }
            for log in logs { await log.close() }
        }
    }

    @Test("What nodes say keeps the contract", arguments: NodeChannelContract.checks)
    func channel(check: NodeChannelContract.Check) async throws {
        try await MockCluster.with { cluster in
            let logs = [cluster.log(), cluster.log()]
            try await check.run { logs.map { LogBoard(on: $0, name: "test") } }
            for log in logs { await log.close() }
        }
    }

    @Test("Notices reach all nodes, and are neither in history nor counted as skipped")
    func notices() async throws {
        try await MockCluster.with { cluster in
            let logs = [cluster.log(), cluster.log()]
            var ends: [Position] = []
            for log in logs { ends.append(try await log.open()) }
            let heard = logs.map { HeardNotices(of: $0) }
            _ = try await logs[0].append([Event(topic: "a", data: "1")])
            try await logs[0].send(notice: "one")
            try await logs[1].send(notice: "two \u{1F426}")
            _ = try await logs[0].append([Event(topic: "a", data: "2")])
            for (number, log) in logs.enumerated() {
                try await until { heard[number].texts.count == 2 }
                #expect(heard[number].texts == ["one", "two \u{1F426}"])
                var data: [String] = []
                while data.count < 2 {
                    let slice = try await log.tail(after: ends[number], limit: SliceLimit())
                    data += slice.records.map(\.event.data)
                    ends[number] = slice.end
                }
                #expect(data == ["1", "2"])
                #expect(log.health.skipped == 0)
            }
            // A node that comes later reads over them.
            let later = cluster.log()
            let end = try await later.open()
            let slice = try await later.read(nil, after: .earliest, through: end, limit: SliceLimit())
            #expect(slice.records.map(\.event.data) == ["1", "2"])
            for log in logs + [later] { await log.close() }
        }
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletServiceBus

@Suite("The board of nodes, on a Service Bus topic", .timeLimit(.minutes(10)))
struct ServiceBusBoardTests {
    @Test("The board keeps the contract", arguments: NodeBoardContract.checks)
    func contract(check: NodeBoardContract.Check) async throws {
        try await Nodes.with(subscriptions: 2) { nodes in
            let logs = BusDouble.names.prefix(2).map { nodes.log($0) }
            try await check.run {
                let boards = logs.map { LogBoard(on: $0, name: "test", maximumBytes: NodeBoardContract.maximumBytes) }
                return SharedBoard(nodes: boards) { try await Task.sleep(for: $0) }
            }
        }
    }

    @Test("What nodes say keeps the contract", arguments: NodeChannelContract.checks)
    func channel(check: NodeChannelContract.Check) async throws {
        try await Nodes.with(subscriptions: 2) { nodes in
            let logs = BusDouble.names.prefix(2).map { nodes.log($0) }
            try await check.run { logs.map { LogBoard(on: $0, name: "test") } }
        }
    }

    @Test("Notices reach all nodes, and are neither stored nor counted as skipped")
    func notices() async throws {
        try await Nodes.with(subscriptions: 2) { nodes in
            let logs = BusDouble.names.prefix(2).map { nodes.log($0) }
            var ends: [Position] = []
            for log in logs { ends.append(try await log.open()) }
            let heard = logs.map { HeardNotices(of: $0) }
            _ = try await logs[0].append([Event(topic: "a", data: "1")])
            try await logs[0].send(notice: "one")
            _ = try await logs[0].append([Event(topic: "a", data: "2")])
            for (number, log) in logs.enumerated() {
                try await until { heard[number].texts == ["one"] }
                var data: [String] = []
                while data.count < 2 {
                    let slice = try await log.tail(after: ends[number], limit: SliceLimit())
                    data += slice.records.map(\.event.data)
                    ends[number] = slice.end
                }
                #expect(data == ["1", "2"])
                #expect(log.health.skipped == 0)
            }
        }
    }
}
#endif

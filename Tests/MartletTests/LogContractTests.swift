// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import Testing

@Suite("The contract of logs", .timeLimit(.minutes(1)))
struct LogContractTests {
    @Test("The log in memory keeps the contract", arguments: LogContract.checks)
    func memoryLog(check: LogContract.Check<any Log>) async throws {
        try await check.run { MemoryLog(clock: ManualClock()) }
    }

    @Test("A log of two partitions keeps the contract", arguments: LogContract.checks, VectorLog.Partition.allCases)
    func vectorLog(check: LogContract.Check<any Log>, readsFirst: VectorLog.Partition) async throws {
        try await check.run { VectorLog(readsFirst: readsFirst) }
    }

    @Test("Nodes that share a log keep the contract", arguments: LogContract.sharedChecks)
    func sharedLog(check: LogContract.Check<[any Log]>) async throws {
        try await check.run {
            let store = VectorLog.Store()
            return [VectorLog.Partition.first, .second, .first].map { VectorLog(store, readsFirst: $0) }
        }
    }

    @Test("A log that breaks the contract is found out", arguments: BrokenLog.Fault.allCases)
    func brokenLog(fault: BrokenLog.Fault) async throws {
        let check = try #require(LogContract.checks.first { $0.name == fault.check })
        await #expect(throws: ContractViolation.self) { try await check.run { BrokenLog(fault) } }
    }

    @Test("A node that does not know the positions of the others is found out")
    func brokenNode() async throws {
        let check = try #require(LogContract.sharedChecks.first { $0.name.hasPrefix("Who has read on one node") })
        await #expect(throws: ContractViolation.self) {
            try await check.run {
                let store = VectorLog.Store()
                return [VectorLog(store), MirroredNode(log: VectorLog(store))]
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import Synchronization
import TestSupport
import Testing

@Suite("The contract of logs", .timeLimit(.minutes(10)))
struct LogContractTests {
    @Test("The log in memory keeps the contract", arguments: LogContract.checks)
    func memoryLog(check: LogContract.Check<any Log>) async throws {
        try await check.run { MemoryLog(clock: ManualClock()) }
    }

    @Test("In the log in memory, topics end and writers are replaced", arguments: LogContract.endChecks)
    func memoryLogEnds(check: LogContract.Check<any Log>) async throws {
        try await check.run { MemoryLog(clock: ManualClock()) }
    }

    @Test("In a log of two partitions, topics end and writers are replaced", arguments: LogContract.endChecks)
    func vectorLogEnds(check: LogContract.Check<any Log>) async throws {
        try await check.run { VectorLog() }
    }

    @Test("A log of two partitions keeps the contract", arguments: LogContract.checks, VectorLog.Partition.allCases)
    func vectorLog(check: LogContract.Check<any Log>, readsFirst: VectorLog.Partition) async throws {
        try await check.run { VectorLog(readsFirst: readsFirst) }
    }

    @Test("The log in memory removes its oldest events as the contract says", arguments: LogContract.retentionChecks)
    func memoryLogRetention(check: LogContract.Check<any Log>) async throws {
        try await check.run { MemoryLog(retention: Retention(events: check.events), clock: ManualClock()) }
    }

    @Test(
        "A log of two partitions removes its oldest events as the contract says",
        arguments: LogContract.retentionChecks,
        VectorLog.Partition.allCases)
    func vectorLogRetention(check: LogContract.Check<any Log>, readsFirst: VectorLog.Partition) async throws {
        try await check.run { VectorLog(VectorLog.Store(eventsPerPartition: check.events), readsFirst: readsFirst) }
    }

    @Test(
        "A log that removes its oldest events late does it as the contract says", arguments: LogContract.retentionChecks
    )
    func lateRetention(check: LogContract.Check<any Log>) async throws {
        try await check.run { VectorLog(VectorLog.Store(eventsPerPartition: check.events, trimsLate: true)) }
    }

    @Test("A log that outlives its nodes keeps the contract over restarts", arguments: LogContract.restartChecks)
    func vectorLogRestarts(check: LogContract.Check<RestartableLog>) async throws {
        try await check.run {
            let store = VectorLog.Store(eventsPerPartition: check.events)
            return RestartableLog { VectorLog(store) }
        }
    }

    @Test("The log in memory knows the positions of others", arguments: LogContract.epochChecks)
    func memoryLogEpochs(check: LogContract.Check<[any Log]>) async throws {
        try await check.run { [MemoryLog(clock: ManualClock()), MemoryLog(clock: ManualClock())] }
    }

    @Test("Nodes that share a log keep the contract", arguments: LogContract.sharedChecks)
    func sharedLog(check: LogContract.Check<[any Log]>) async throws {
        try await check.run {
            let store = VectorLog.Store()
            return [VectorLog.Partition.first, .second, .first].map { VectorLog(store, readsFirst: $0) }
        }
    }

    @Test(
        "A log that breaks the contract is found out",
        arguments: BrokenLogFault.allCases.filter { !$0.needsRestart })
    func brokenLog(fault: BrokenLogFault) async throws {
        let checks = LogContract.checks + LogContract.retentionChecks
        let check = try #require(checks.first { $0.name.hasPrefix(fault.check) })
        await #expect(throws: ContractViolation.self) {
            try await check.run { BrokenLog(fault, keeping: check.events) }
        }
    }

    @Test(
        "A log that breaks the contract after a restart is found out",
        arguments: BrokenLogFault.allCases.filter(\.needsRestart))
    func brokenRestart(fault: BrokenLogFault) async throws {
        let check = try #require(LogContract.restartChecks.first { $0.name.hasPrefix(fault.check) })
        await #expect(throws: ContractViolation.self) {
            try await check.run {
                let log = MemoryLog(retention: fault.retention(of: check.events), clock: ManualClock())
                let lives = Mutex(0)
                return RestartableLog {
                    defer { lives.withLock { $0 += 1 } }
                    return BrokenLog(fault, on: log, life: lives.withLock { $0 })
                }
            }
        }
    }

    @Test("A log that takes the positions of others for its own is found out", arguments: LogContract.epochChecks)
    func foreignPositions(check: LogContract.Check<[any Log]>) async throws {
        await #expect(throws: ContractViolation.self) {
            try await check.run { (0..<2).map { _ in BrokenLog(.believesAnyID, keeping: check.events) } }
        }
    }

    @Test("A node that does not know the positions of the others is found out")
    func brokenNode() async throws {
        let name = "A reader that moves to another node gets"
        let check = try #require(LogContract.sharedChecks.first { $0.name.hasPrefix(name) })
        await #expect(throws: ContractViolation.self) {
            try await check.run {
                let store = VectorLog.Store()
                return [VectorLog(store), MirroredNode(log: VectorLog(store))]
            }
        }
    }
}

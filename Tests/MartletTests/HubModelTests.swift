// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct HubModelTests {
    private let operations = FuzzSettings.count ?? 10_000

    @Test("A hub with its log in memory does what the model does", arguments: [25, 100_000])
    func hubWithItsLog(kept: Int) async throws {
        try await HubSimulation.run(.memory(keeping: kept), operations: operations, seed: FuzzSettings.seed)
    }

    @Test("Hubs on a log of two partitions do what the model does", arguments: VectorLog.Partition.allCases)
    func hubsOnALog(readsFirst: VectorLog.Partition) async throws {
        let log = ModelledLog.vector(keeping: 15, readsFirst: readsFirst)
        try await HubSimulation.run(log, operations: operations, seed: FuzzSettings.seed)
    }

    @Test("Hubs on a log that removes events late do what the model does")
    func hubsOnALogThatRemoves() async throws {
        let log = ModelledLog.vector(keeping: 15, trimsLate: true)
        try await HubSimulation.run(log, operations: operations, seed: FuzzSettings.seed)
    }
}

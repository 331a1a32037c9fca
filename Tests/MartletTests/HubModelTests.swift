// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct HubModelTests {
    private let operations = FuzzSettings.count ?? 10_000

    @Test(arguments: [25, 100_000])
    func `a hub with its log in memory does what the model does`(kept: Int) async throws {
        try await HubSimulation.run(.memory(keeping: kept), operations: operations, seed: FuzzSettings.seed)
    }

    @Test(arguments: VectorLog.Partition.allCases)
    func `hubs on a log of two partitions do what the model does`(readsFirst: VectorLog.Partition) async throws {
        let log = ModelledLog.vector(keeping: 15, readsFirst: readsFirst)
        try await HubSimulation.run(log, operations: operations, seed: FuzzSettings.seed)
    }

    @Test func `hubs on a log that removes events late do what the model does`() async throws {
        let log = ModelledLog.vector(keeping: 15, trimsLate: true)
        try await HubSimulation.run(log, operations: operations, seed: FuzzSettings.seed)
    }
}

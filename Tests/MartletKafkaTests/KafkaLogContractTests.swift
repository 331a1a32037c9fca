// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import MartletKafka

@Suite("The contract of logs, kept by a Kafka cluster", .timeLimit(.minutes(5)))
struct KafkaLogContractTests {
    @Test("The log keeps the contract", arguments: LogContract.checks)
    func contract(check: LogContract.Check<any Log>) async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log()
            try await check.run { log }
            await log.close()
        }
    }

    @Test("Nodes that share a topic keep the contract", arguments: LogContract.sharedChecks)
    func shared(check: LogContract.Check<[any Log]>) async throws {
        try await MockCluster.with { cluster in
            let logs = (0..<3).map { _ in cluster.log() }
            try await check.run { logs }
            for log in logs { await log.close() }
        }
    }

    @Test("Topics know the positions of others", arguments: LogContract.epochChecks)
    func epochs(check: LogContract.Check<[any Log]>) async throws {
        try await MockCluster.with(topics: "a:1", "b:1") { cluster in
            let logs = ["a", "b"].map { cluster.log($0) }
            try await check.run { logs }
            for log in logs { await log.close() }
        }
    }
}
#endif

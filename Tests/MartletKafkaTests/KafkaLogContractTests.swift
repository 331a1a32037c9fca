// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import MartletKafka

@Suite("The contract of logs, kept by a Kafka cluster", .timeLimit(.minutes(10)))
struct KafkaLogContractTests {
    @Test("The log keeps the contract", arguments: LogContract.checks)
    func contract(check: LogContract.Check<any Log>) async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log()
            try await check.run { log }
            await log.close()
        }
    }

    @Test("A log with a short window keeps the contract", arguments: LogContract.checks)
    func shortWindow(check: LogContract.Check<any Log>) async throws {
        // Only the newest ids of publishers and idempotency keys are known then.
        guard !Self.needsWindow.contains(where: check.name.contains) else { return }
        try await MockCluster.with { cluster in
            let log = cluster.log { $0.windowRecords = 3 }
            try await check.run { log }
            await log.close()
        }
    }

    private static let needsWindow = ["id ", "id,", "ids ", "key", "spelling"]

    @Test("Several partitions keep the contract", arguments: LogContract.checks)
    func partitions(check: LogContract.Check<any Log>) async throws {
        // The id of one event says nothing of other partitions.
        guard !["publisher's id", "id in any", "position from append"].contains(where: check.name.contains) else {
            return
        }
        try await MockCluster.with(topics: "martlet:3") { cluster in
            let log = cluster.log { $0.hasManyPartitions = true }
            try await check.run { log }
            await log.close()
        }
    }

    @Test("The log says what the brokers have removed", arguments: LogContract.retentionChecks)
    func retention(check: LogContract.Check<any Log>) async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log()
            try await check.run { FillingLog(log, cluster, keeping: check.events) }
            await log.close()
        }
    }

    @Test("A new node has the events of an earlier one", arguments: LogContract.restartChecks)
    func restarts(check: LogContract.Check<RestartableLog>) async throws {
        // A new node does not know which topics had events that the brokers have removed before it came.
        guard !["removed before", "Removed events"].contains(where: check.name.contains) else { return }
        try await restart(check, windowRecords: 100_000)
    }

    @Test(
        "A new node with a short window knows what outlives history",
        arguments: LogContract.restartChecks.filter { $0.name.contains("outlives history") })
    func shortRestarts(check: LogContract.Check<RestartableLog>) async throws {
        try await restart(check, windowRecords: 3)
    }

    private func restart(_ check: LogContract.Check<RestartableLog>, windowRecords: Int) async throws {
        try await MockCluster.with { cluster in
            let logs = Mutex<[KafkaLog]>([])
            try await check.run {
                RestartableLog {
                    let log = cluster.log {
                        $0.windowRecords = windowRecords
                        $0.checkpointRecords = 1
                    }
                    logs.withLock { $0.append(log) }
                    return FillingLog(log, cluster, keeping: check.events)
                } crash: {
                    // The brokers have removed the events at once, so no other node could read them.
                    try await until { logs.withLock { $0.last?.isStored ?? true } }
                }
            }
            for log in logs.withLock({ $0 }) { await log.close() }
        }
    }

    @Test("Hubs on a topic do what the model does")
    func model() async throws {
        try await MockCluster.with { cluster in
            var log = ModelledLog(keeping: 100_000) { cluster.log() }
            log.isPunctual = false
            try await HubSimulation.run(log, operations: FuzzSettings.count ?? 1000, seed: FuzzSettings.seed)
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

/// A log that makes the brokers remove old events: they keep 5 MiB of a partition, so large records that are no events
/// follow each publish.
private final class FillingLog: WrappingLog {
    let log: any Log
    private let filler: Mutex<TopicProducer>
    private let size: Int

    init(_ log: KafkaLog, _ cluster: MockCluster, keeping events: Int) {
        self.log = log
        filler = Mutex(TopicProducer(cluster.configuration, logger: log.node.logger))
        size = 4 * 1024 * 1024 / events
    }

    func append(_ events: [Event], once key: String?) async throws -> [Position] {
        let positions = try await log.append(events, once: key)
        let draft = TopicProducer.Draft(
            partition: 0, key: [], value: Array(repeating: 0, count: size * events.count),
            headers: [("martlet-kind", Array("filler".utf8))])
        _ = try filler.withLock { try $0.send([draft]) }
        return positions
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import MartletRedis

@Suite("The contract of logs, kept by a Redis server", .timeLimit(.minutes(10)))
struct RedisLogContractTests {
    @Test(
        "The log keeps the contract",
        arguments: LogContract.checks + LogContract.retentionChecks + LogContract.endChecks)
    func contract(check: LogContract.Check<any Log>) async throws {
        try await RedisServer.with { server in
            let log = server.log(keeping: check.events)
            try await check.run { log }
            await log.close()
        }
    }

    @Test("Nodes that share a stream keep the contract", arguments: LogContract.sharedChecks)
    func shared(check: LogContract.Check<[any Log]>) async throws {
        try await RedisServer.with { server in
            let logs = (0..<3).map { _ in server.log(keeping: check.events) }
            try await check.run { logs }
            for log in logs { await log.close() }
        }
    }

    @Test("A new node has the events of an earlier one", arguments: LogContract.restartChecks)
    func restarts(check: LogContract.Check<RestartableLog>) async throws {
        try await RedisServer.with { server in
            let logs = Mutex<[RedisLog]>([])
            try await check.run {
                RestartableLog {
                    let log = server.log(keeping: check.events)
                    logs.withLock { $0.append(log) }
                    return log
                }
            }
            for log in logs.withLock({ $0 }) { await log.close() }
        }
    }

    @Test("Accepted events survive a crash of the server", arguments: LogContract.restartChecks)
    func serverCrashes(check: LogContract.Check<RestartableLog>) async throws {
        try await RedisServer.with("--appendonly", "yes", "--appendfsync", "always") { server in
            let logs = Mutex<[RedisLog]>([])
            try await check.run {
                RestartableLog {
                    let log = server.log(keeping: check.events)
                    logs.withLock { $0.append(log) }
                    return log
                } crash: {
                    server.kill()
                    try await server.start()
                }
            }
            for log in logs.withLock({ $0 }) { await log.close() }
        }
    }

    @Test("Streams know the positions of others", arguments: LogContract.epochChecks)
    func epochs(check: LogContract.Check<[any Log]>) async throws {
        try await RedisServer.with { server in
            let logs = ["a", "b"].map { server.log($0) }
            try await check.run { logs }
            for log in logs { await log.close() }
        }
    }

    @Test("Hubs on a stream do what the model does")
    func model() async throws {
        try await RedisServer.with { server in
            var log = ModelledLog(keeping: 25) { server.log(keeping: 25) }
            log.isPunctual = false
            try await HubSimulation.run(log, operations: FuzzSettings.count ?? 2000, seed: FuzzSettings.seed)
        }
    }
}
#endif

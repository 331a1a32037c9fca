// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("The contract of logs, kept in a file", .timeLimit(.minutes(10)))
struct SQLiteLogContractTests {
    @Test(
        "The log in a file keeps the contract",
        arguments: LogContract.checks + LogContract.endChecks + LogContract.retentionChecks)
    func contract(check: LogContract.Check<any Log>) async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log(
                "hub.db", durability: .os, retention: Retention(events: check.events))
            try await check.run { log }
            await log.close()
        }
    }

    @Test("A log in a file keeps the contract over restarts", arguments: LogContract.restartChecks)
    func restarts(check: LogContract.Check<RestartableLog>) async throws {
        try await TemporaryFolder.with { folder in
            let last = Mutex<SQLiteLog?>(nil)
            try await check.run {
                RestartableLog {
                    let log = folder.log("hub.db", retention: Retention(events: check.events))
                    last.withLock { $0 = log }
                    return log
                } crash: {
                    await last.withLock { $0 }?.abandon()
                }
            }
            await last.withLock { $0 }?.close()
        }
    }

    @Test("Logs in files know the positions of others", arguments: LogContract.epochChecks)
    func epochs(check: LogContract.Check<[any Log]>) async throws {
        try await TemporaryFolder.with { folder in
            let logs = ["a.db", "b.db"].map { folder.log($0, durability: .os) }
            try await check.run { logs }
            for log in logs { await log.close() }
        }
    }

    @Test("A client resumes from any id, from a log in a file")
    func lastEventIDFuzz() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db", durability: .os)
            try await LastEventIDFuzz.run(on: log)
            await log.close()
        }
    }

    @Test("Hubs on a log in a file do what the model does")
    func model() async throws {
        try await TemporaryFolder.with { folder in
            var log = ModelledLog(keeping: 25) {
                folder.log("hub.db", durability: .os, retention: Retention(events: 25))
            }
            log.isPunctual = false
            let operations = FuzzSettings.count ?? 10_000
            try await HubSimulation.run(log, operations: operations, seed: FuzzSettings.seed)
        }
    }
}

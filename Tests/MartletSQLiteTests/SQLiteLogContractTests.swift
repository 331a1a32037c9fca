// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSQLite
import MartletTesting
import Testing

@Suite("The contract of logs, kept in a file", .timeLimit(.minutes(2)))
struct SQLiteLogContractTests {
    @Test("The log in a file keeps the contract", arguments: LogContract.checks)
    func contract(check: LogContract.Check<any Log>) async throws {
        try await TemporaryFolder.with { folder in
            let log = SQLiteLog(path: folder.path("hub.db"), durability: .os)
            try await check.run { log }
            await log.close()
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet
import TestSupport
import Testing

@testable import MartletSQLite

@Suite struct SQLiteLastEventIDFuzzTests {
    @Test("A client resumes from any id, from a log in a file")
    func resumes() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db", durability: .os)
            try await LastEventIDFuzz.run(on: log)
            await log.close()
        }
    }
}

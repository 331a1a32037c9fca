// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Martlet
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("Whose the file of a log is", .timeLimit(.minutes(3)))
struct OwnershipTests {
    /// Opens the file, expects to be refused, and returns why.
    private func refusal(of folder: TemporaryFolder) async throws -> SQLiteLogError {
        let before = try? folder.bytes("hub.db")
        let error = await #expect(throws: SQLiteLogError.self) {
            _ = try await folder.log("hub.db").open()
        }
        #expect((try? folder.bytes("hub.db")) == before, "a file that was refused has changed")
        return try #require(error)
    }

    @Test("The second who opens it is told who has it, until that one has closed it")
    func second() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            let error = try await refusal(of: folder)
            #expect(error.code == .inUse)
            #expect(error.message.contains("process \(ProcessInfo.processInfo.processIdentifier)"))
            await log.close()
            let next = folder.log("hub.db")
            _ = try await next.open()
            await next.close()
        }
    }

    @Test("Other files are refused and left as they are")
    func foreign() async throws {
        try await TemporaryFolder.with { folder in
            try folder.write(Array("something else, which is longer than the header of a database".utf8), to: "hub.db")
            #expect(try await refusal(of: folder).code == .foreign)
            folder.remove("hub.db")
            let other = try DatabaseQueue(path: folder.path("hub.db"))
            try await other.write { try $0.execute(sql: "CREATE TABLE event (offset INTEGER PRIMARY KEY)") }
            try other.close()
            #expect(try await refusal(of: folder).code == .foreign)
            try folder.write([], to: "hub.db")
            #expect(try await refusal(of: folder).code == .damaged)
        }
    }

    @Test("A file of a newer version is refused and left as it is")
    func newer() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            try await log.run("PRAGMA user_version = \(LogFile.version + 1)")
            await log.close()
            #expect(try await refusal(of: folder).code == .newer)
        }
    }

    @Test("A write-ahead log whose file is missing is not taken for that of a new one")
    func orphan() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            try await log.append("news", "1")
            let journal = try folder.bytes("hub.db-wal")
            await log.close()
            folder.remove("hub.db")
            try folder.write(journal, to: "hub.db-wal")
            let error = try await refusal(of: folder)
            #expect(error.code == .damaged)
            #expect(error.message.contains("hub.db-wal"))
            try folder.write([], to: "hub.db-wal")
            let next = folder.log("hub.db")
            _ = try await next.open()
            #expect(try await next.texts() == [])
            await next.close()
        }
    }

    @Test("What is left of a file that was never completed does no harm")
    func draft() async throws {
        try await TemporaryFolder.with { folder in
            try folder.write(Array("half a file".utf8), to: "hub.db-new")
            let log = folder.log("hub.db")
            _ = try await log.open()
            await log.close()
        }
    }

    @Test("A place where nothing can be written is said to be so")
    func noFolder() async throws {
        try await TemporaryFolder.with { folder in
            let error = await #expect(throws: SQLiteLogError.self) {
                _ = try await folder.log("none/hub.db").open()
            }
            #expect(error?.code == .unavailable)
        }
    }
}

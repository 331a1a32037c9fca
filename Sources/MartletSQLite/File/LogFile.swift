// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB

/// The file of a log, which this process has for itself: a SQLite database in WAL mode, with one connection that writes and
/// some that read, each on a thread of its own.
final class LogFile: Sendable {
    let path: String
    let pool: DatabasePool
    private let lock: FileLock

    /// "Mrtl", by which a file is known to be a log.
    static let applicationID: Int32 = 0x4D72_746C
    /// The version of the tables. Files of a greater one are refused.
    static let version: Int32 = 1

    /// How many connections read at the same time.
    private static let readers = 4
    /// The cache of the connection that writes, in KiB. Writing happens at the end of the file, trimming at its beginning.
    private static let writerCache = 4096
    /// The cache of each connection that reads, in KiB.
    private static let readerCache = 1024
    /// How many pages of 4 KiB the write-ahead log has before they are brought home.
    private static let checkpointPages = 4000
    /// To how many bytes the write-ahead log shrinks then.
    private static let mostIdleJournal = 16 * 1024 * 1024

    /// Opens the file, and makes it where there is none. Blocks meanwhile.
    ///
    /// - Throws: ``SQLiteLogError`` where the file is not for this process. It is not touched then.
    init(_ path: String) throws {
        self.path = path
        lock = try FileLock(for: path)
        if FileManager.default.fileExists(atPath: path) {
            try FileHeader(of: path).check()
        } else {
            try Self.create(path)
        }
        var configuration = Configuration()
        configuration.label = "martlet-log"
        configuration.maximumReaderCount = Self.readers
        configuration.persistentReadOnlyConnections = true
        configuration.prepareDatabase { database in
            if database.configuration.readonly {
                try database.execute(sql: "PRAGMA cache_size = -\(Self.readerCache)")
            } else {
                try database.execute(
                    sql: """
                        PRAGMA cache_size = -\(Self.writerCache);
                        PRAGMA synchronous = FULL;
                        PRAGMA wal_autocheckpoint = \(Self.checkpointPages);
                        PRAGMA journal_size_limit = \(Self.mostIdleJournal);
                        """)
            }
        }
        pool = try Self.explain(path) { try DatabasePool(path: path, configuration: configuration) }
    }

    /// Makes an empty log. The file gets its name when it is complete.
    private static func create(_ path: String) throws {
        let journal = try? FileManager.default.attributesOfItem(atPath: path + "-wal")
        guard journal?[.size] as? Int ?? 0 == 0 else {
            throw SQLiteLogError(
                .damaged,
                "There is \(path)-wal but no \(path). Restore that, or remove the other to begin without history.")
        }
        let draft = path + "-new"
        for name in [draft, draft + "-wal", draft + "-journal"] { try? FileManager.default.removeItem(atPath: name) }
        try explain(path) {
            let queue = try DatabaseQueue(path: draft)
            try queue.writeWithoutTransaction { database in
                // Before there is anything else in the file.
                try database.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
                try database.inTransaction {
                    try database.execute(
                        sql: "PRAGMA application_id = \(applicationID); PRAGMA user_version = \(version)")
                    for table in [EventRow.table, LogState.table, LogState.segmentTable, Removal.table] {
                        try database.execute(sql: table)
                    }
                    return .commit
                }
            }
            try queue.close()
            try FileManager.default.moveItem(atPath: draft, toPath: path)
        }
    }

    func close() throws {
        // Who is alone brings the write-ahead log home when it closes.
        pool.invalidateReadOnlyConnections()
        try pool.close()
    }

    /// Says what went wrong with which file.
    static func explain<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let damage as Damage {
            throw SQLiteLogError.damaged(path, damage.description)
        } catch let error as DatabaseError
            where error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
        {
            throw SQLiteLogError.damaged(path, error.message ?? "SQLite does not know it")
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            throw SQLiteLogError(
                .unavailable,
                "There is no room on the disk to open the log \(path). It is intact; make room and try again.")
        } catch let error as DatabaseError {
            throw SQLiteLogError(
                .unavailable, "The log \(path) cannot be used: \(error.message ?? "\(error.resultCode)").")
        } catch let error as CocoaError {
            throw SQLiteLogError(.unavailable, "The log \(path) cannot be used: \(error.localizedDescription)")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import GRDB
import Martlet
import Synchronization

/// The file of a log, which this process has for itself: a SQLite database in WAL mode, with one connection that writes and
/// some that read, each on a thread of its own.
final class LogFile: Sendable {
    let path: String
    let pool: DatabasePool
    let lock: FileLock

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
        let path = try LogPath.resolve(path)
        self.path = path
        if !Self.exists(path) { try Self.create(path) }
        lock = try FileLock(for: path)
        try FileHeader(of: path, lock.descriptor).check()
        for name in [path + "-wal", path + "-shm"] {
            guard let kind = (try? FileStatus(of: name, followsLink: false))?.otherKind else { continue }
            throw SQLiteLogError(.foreign, "\(name) is \(kind), not the file that belongs to the log. Remove it.")
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
        do {
            try Self.explain(path) { try Self.openReaders(of: pool) }
        } catch {
            // Before the lock is released.
            try? pool.close()
            throw error
        }
    }

    private static func exists(_ path: String) -> Bool {
        do {
            _ = try FileStatus(of: path, followsLink: false)
            return true
        } catch {
            return error.code != ENOENT
        }
    }

    /// Opens all reading connections. Later the path may lead to another file.
    private static func openReaders(of pool: DatabasePool) throws {
        let (arrived, done) = (DispatchGroup(), DispatchGroup())
        let failure = Mutex<(any Error)?>(nil)
        for _ in 0..<readers {
            arrived.enter()
            done.enter()
        }
        for _ in 0..<readers {
            pool.asyncRead { database in
                do {
                    _ = try Int.fetchOne(database.get(), sql: "SELECT count(*) FROM state")
                    arrived.leave()
                    // Keeps this connection busy until the others are open.
                    arrived.wait()
                } catch {
                    failure.withLock { $0 = error }
                    arrived.leave()
                }
                done.leave()
            }
        }
        done.wait()
        if let error = failure.withLock({ $0 }) { throw error }
    }

    /// Creates an empty log that only its owner can read. The file gets its name when it is complete, unless another process
    /// has created one by then.
    private static func create(_ path: String) throws {
        guard (try? FileStatus(of: path + "-wal"))?.size ?? 0 == 0 else {
            throw SQLiteLogError(
                .damaged,
                "There is \(path)-wal but no \(path). Restore that, or remove the other to begin without history.")
        }
        let draft = "\(path)-new-\(Epoch().text)"
        let descriptor = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw SQLiteLogError(.unavailable, "The log \(path) cannot be made: \(SystemError()).")
        }
        Foundation.close(descriptor)
        defer { for name in [draft, draft + "-journal"] { unlink(name) } }
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
        }
        // Unlike a rename, this does not replace an existing file.
        if link(draft, path) == 0 || errno == EEXIST { return }
        // Some file systems have no hard links.
        guard !exists(path), rename(draft, path) == 0 else {
            throw SQLiteLogError(.unavailable, "The log \(path) cannot be made: \(SystemError()).")
        }
    }

    /// - Parameter leavesFiles: Whether the files stay as they are, because they are damaged or another log's.
    func close(leavesFiles: Bool = false) throws {
        // If the writing connection is the last one, closing it checkpoints the write-ahead log and removes the file of that
        // name. Reading connections cannot do this.
        if !leavesFiles { pool.invalidateReadOnlyConnections() }
        try pool.close()
        lock.release()
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
        }
    }
}

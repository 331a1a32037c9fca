// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import GRDB
import Martlet
import Synchronization

/// The file of a log, which no other process can open: a SQLite database in WAL mode, with one connection that writes
/// and some that read, each on its own thread.
final class LogFile: Sendable {
    let path: String
    let pool: DatabasePool
    let lock: FileLock

    /// "Mrtl", which marks a file as a log.
    static let applicationID: Int32 = 0x4D72_746C
    /// The version of the tables. Files of a later version are refused.
    static let version: Int32 = 2

    /// The number of connections that read.
    private static let readers = 4
    /// The cache of the writing connection, in KiB. It writes at the end of the file and trims at its beginning.
    private static let writerCache = 4096
    /// The cache of each reading connection, in KiB.
    private static let readerCache = 1024
    /// The pages of 4 KiB in the write-ahead log from which on there is a checkpoint.
    private static let checkpointPages = 4000
    /// The bytes to which the write-ahead log shrinks then.
    private static let mostIdleJournal = 16 * 1024 * 1024

    /// Opens the file, and creates it if it does not exist. Blocks the thread.
    ///
    /// - Throws: ``SQLiteLogError`` if this process cannot use the file. Then the file is unchanged.
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

    /// Creates an empty log that only its owner can read. The file gets its name when it is complete, unless another
    /// process has created one by then.
    private static func create(_ path: String) throws {
        guard (try? FileStatus(of: path + "-wal"))?.size ?? 0 == 0 else {
            throw SQLiteLogError(
                .damaged,
                "There is \(path)-wal but no \(path). Restore it, or remove \(path)-wal to begin without history.")
        }
        let draft = "\(path)-new-\(Epoch().text)"
        let descriptor = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw SQLiteLogError(.unavailable, "The log \(path) cannot be created: \(SystemError()).")
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
                    for table in [EventRow.table, LogState.table, LogState.segmentTable, Removal.table] + keptTables {
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
            throw SQLiteLogError(.unavailable, "The log \(path) cannot be created: \(SystemError()).")
        }
    }

    /// - Parameter leavesFiles: Whether to leave the files as they are, because they are damaged or belong to another
    ///   log.
    func close(leavesFiles: Bool = false) throws {
        // If the writing connection is the last one, closing it checkpoints the write-ahead log and removes the file of
        // that name. Reading connections cannot do this.
        if !leavesFiles { pool.invalidateReadOnlyConnections() }
        try pool.close()
        lock.release()
    }

    /// Turns an error of SQLite into one that names the file.
    static func explain<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let damage as DamageError {
            throw SQLiteLogError.damaged(path, damage.description)
        } catch let error as DatabaseError
            where error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
        {
            throw SQLiteLogError.damaged(path, error.message ?? "SQLite does not recognise it")
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            throw SQLiteLogError(
                .unavailable,
                "The disk has no room to open the log \(path). The log is intact; free some space and try again.")
        } catch let error as DatabaseError {
            throw SQLiteLogError(
                .unavailable, "The log \(path) cannot be used: \(error.message ?? "\(error.resultCode)").")
        }
    }
}

/// The first bytes of a database file (SQLite's file format, section 1.3). They are read without SQLite, so nothing
/// changes in a file that is not a log.
struct FileHeader {
    private let path: String
    private let bytes: [UInt8]

    private static let size = 100
    private static let magic = Array("SQLite format 3\0".utf8)
    private static let versionPlace = 60
    private static let applicationPlace = 68

    /// - Parameter descriptor: The descriptor of the file, which is left open.
    init(of path: String, _ descriptor: CInt) throws(SQLiteLogError) {
        self.path = path
        var bytes = [UInt8](repeating: 0, count: Self.size)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count >= 0 else {
            throw SQLiteLogError(.unavailable, "The log \(path) cannot be read: \(SystemError()).")
        }
        self.bytes = Array(bytes.prefix(count))
    }

    /// Throws if the file is not a log that this version can read.
    func check() throws(SQLiteLogError) {
        guard !bytes.isEmpty else { throw .damaged(path, "it is empty") }
        guard bytes.starts(with: Self.magic) else {
            throw SQLiteLogError(.foreign, "\(path) is not a log of Martlet. Choose another file.")
        }
        guard bytes.count == Self.size else { throw .damaged(path, "it ends within its header") }
        guard number(at: Self.applicationPlace) == LogFile.applicationID else {
            throw SQLiteLogError(.foreign, "\(path) is a database, but not a log of Martlet. Choose another file.")
        }
        guard number(at: Self.versionPlace) <= LogFile.version else { throw .newer(path) }
    }

    private func number(at place: Int) -> Int32 {
        Int32(bitPattern: bytes[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) })
    }
}

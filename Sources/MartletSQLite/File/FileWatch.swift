// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Martlet
import Synchronization

/// Notices when the files of an open log are removed, replaced, truncated or overwritten. SQLite does not notice: it
/// continues with the files that it has open, even if no path leads to them any more.
///
/// The writing connection uses it between its transactions. A check costs a few system calls.
final class FileWatch: Sendable {
    private struct Known {
        var size: Int64 = 0
        var journalSize: Int64 = 0
        var header: [UInt8] = []
    }

    private static let headerSize = 100
    /// The sizes of the headers of the write-ahead log and of each of its pages (SQLite's file format, section 4.1).
    private static let journalHeaderSize: Int64 = 32
    private static let frameHeaderSize: Int64 = 24

    private let path: String
    private let descriptor: CInt
    private let file: FileIdentity
    private let journal: FileIdentity
    private let memory: FileIdentity
    private let known = Mutex(Known())

    private var journalPath: String { path + "-wal" }
    private var memoryPath: String { path + "-shm" }

    /// - Parameter lock: That of the file, which SQLite has opened.
    init(_ path: String, _ lock: FileLock) throws {
        self.path = path
        descriptor = lock.descriptor
        file = lock.identity
        do {
            journal = try FileStatus(of: path + "-wal").identity
            memory = try FileStatus(of: path + "-shm").identity
        } catch {
            throw SQLiteLogError.hasChanged(path, error)
        }
        do { try note() } catch { throw SQLiteLogError.hasChanged(path, error) }
    }

    /// Whether another file has taken the place of the write-ahead log.
    var hasForeignJournal: Bool { (try? FileStatus(of: journalPath)).map { $0.identity != journal } ?? false }

    /// Throws if the files are neither as the writing connection left them nor as another program leaves them that uses
    /// SQLite.
    func check(_ database: Database) throws {
        _ = try size(of: memoryPath, memory)
        let (now, before) = (try look(), known.withLock { $0 })
        let isChanged = now.header != before.header || now.size < before.size
        let isJournalCut = now.journalSize < before.journalSize
        guard isChanged || isJournalCut else { return }
        // Another program may have checkpointed the write-ahead log. Then everything is in the file.
        do {
            // Pages in the cache say nothing about the files.
            try database.execute(sql: "PRAGMA shrink_memory")
            if isJournalCut { try checkJournal(database) }
            try LogFile.check(database)
        } catch  where error.isDamage {
            throw FileFault.damaged("\(path) was changed: \(error)")
        }
        try note()
    }

    /// Throws if the write-ahead log is shorter than the pages that it contains for SQLite.
    private func checkJournal(_ database: Database) throws {
        var pages: Int64 = 0
        // Returns their number, and reads those that are not in the file yet.
        try database.forEachRow("PRAGMA wal_checkpoint(PASSIVE)") { pages = max(0, $0.number(1)) }
        let pageSize = try Int64.fetchOne(database, sql: "PRAGMA page_size") ?? 0
        let needed = pages == 0 ? 0 : Self.journalHeaderSize + pages * (Self.frameHeaderSize + pageSize)
        guard try size(of: journalPath, journal) >= needed else { throw FileFault.damaged("\(journalPath) was cut") }
    }

    /// Remembers how the writing connection has left the files. Throws if a file is no longer in its place.
    func note() throws(FileFault) {
        let now = try look()
        known.withLock { $0 = now }
    }

    private func look() throws(FileFault) -> Known {
        let header = [UInt8](
            unsafeUninitializedCapacity: Self.headerSize,
            initializingWith: { bytes, count in count = max(0, pread(descriptor, bytes.baseAddress, bytes.count, 0)) })
        return Known(
            size: try size(of: path, file), journalSize: try size(of: journalPath, journal), header: header)
    }

    /// The size of a file. Throws if it is no longer in its place.
    private func size(of path: String, _ identity: FileIdentity) throws(FileFault) -> Int64 {
        let status: FileStatus
        do {
            status = try FileStatus(of: path)
        } catch {
            throw .gone(error.code == ENOENT ? "\(path) was removed" : "\(path) cannot be found: \(error)")
        }
        guard status.identity == identity else { throw .gone("\(path) was replaced") }
        return status.size
    }
}

extension SQLiteLogError {
    fileprivate static func hasChanged(_ path: String, _ reason: any Error) -> SQLiteLogError {
        SQLiteLogError(.unavailable, "The files of \(path) have changed while they were opened: \(reason). Try again.")
    }
}

// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import Synchronization

/// What the connection that writes does.
extension History {
    /// How much more of a large history goes when there is too much by one: the sixty-fourth part, and at most one removal.
    private var slack: Int { min(Removal.mostEvents, retention.events / 1024 * 16) }

    /// How many pages are moved at once to make the file smaller.
    private static let pagesMoved = 256
    /// The file is made smaller when so many of its pages are empty, and a quarter of all.
    private static let mostEmptyPages: Int64 = 1024

    /// Writes what is published, and removes what is too much then, in one transaction.
    ///
    /// - Parameter tailed: What is behind this offset is not removed.
    func commit(_ publishes: [Commit.Publish], at time: Int64, tailed: UInt64, in database: Database) throws -> Commit {
        let (commit, removal) = try transaction(in: database) {
            let commit = try Commit(publishes, to: self, at: time, in: database)
            return (commit, try remove(counting: commit.rows, at: time, through: tailed, in: database))
        }
        index.withLock { index in
            for row in commit.rows { index.append(row) }
            if let removal { index.remove(removal) }
        }
        return commit
    }

    /// Removes some of what is too much.
    func trim(at time: Int64, tailed: UInt64, in database: Database) throws {
        let removal = try transaction(in: database) {
            try remove(counting: [], at: time, through: tailed, in: database)
        }
        if let removal { index.withLock { $0.remove(removal) } }
    }

    private func transaction<Value>(in database: Database, _ body: () throws -> Value) throws -> Value {
        do {
            return try database.transaction(body)
        } catch {
            index.withLock { $0.leaving = 0 }
            throw error
        }
    }

    /// Whether there is something to remove.
    func isTooMuch(at time: Int64, tailed: UInt64) -> Bool {
        index.withLock { index in
            guard index.count > 0, index.first <= tailed else { return false }
            return index.count > retention.events || index.byteCount > retention.bytes
                || index.oldest.map { isTooOld($0, at: time) } ?? false
        }
    }

    private func isTooOld(_ event: Int64, at time: Int64) -> Bool {
        .milliseconds(time) - .milliseconds(event) > retention.age
    }

    private func remove(
        counting rows: [EventRow], at time: Int64, through tailed: UInt64, in database: Database
    ) throws -> Removal? {
        let (first, last, events, bytes, oldest) = index.withLock {
            ($0.first, $0.last, $0.count, $0.byteCount, $0.oldest)
        }
        let count = events + rows.count
        let size = rows.reduce(bytes) { $0 + $1.event.byteCount }
        let isTooOld = oldest.map { self.isTooOld($0, at: time) } ?? false
        guard count > retention.events || size > retention.bytes || isTooOld, first <= min(tailed, last) else {
            return nil
        }
        let goal = count > retention.events ? retention.events - slack : retention.events
        let removal = try Removal(first...min(tailed, last), from: database) { removal, row in
            count - removal.count > goal || size - removal.byteCount > retention.bytes
                || self.isTooOld(row.time, at: time)
        }
        // Between the commit and the change of the index readers must not take them for lost.
        index.withLock { $0.leaving = removal.last }
        if removal.count > 0 { try Removal.fold(index.withLock { $0.trimmed }, with: removal, in: database) }
        return removal
    }

    /// Gives empty pages back to the file system, some at a time. Returns whether there are more.
    func shrink(in database: Database) throws -> Bool {
        guard try hasManyEmptyPages(database) else { return false }
        try database.execute(sql: "PRAGMA incremental_vacuum(\(Self.pagesMoved))")
        if try hasManyEmptyPages(database) { return true }
        // The file is cut when the write-ahead log is brought home.
        _ = try? database.checkpoint(.truncate)
        return false
    }

    private func hasManyEmptyPages(_ database: Database) throws -> Bool {
        let empty = try Int64.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
        guard empty > Self.mostEmptyPages else { return false }
        return empty > (try Int64.fetchOne(database, sql: "PRAGMA page_count") ?? 0) / 4
    }

    /// Remembers that nothing was lost.
    func finish(in database: Database) throws {
        try database.execute(sql: "PRAGMA synchronous = FULL")
        try database.transaction { try LogState.set(cleanEnd: last, in: database) }
    }
}

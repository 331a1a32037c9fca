// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import MartletSupport
import Synchronization

/// The work of the writing connection.
extension History {
    /// How many more events than necessary are removed from a large history: a sixty-fourth of it, at most one removal.
    private var slack: Int { min(Removal.mostEvents, retention.events / 1024 * 16) }

    /// How many pages one step moves to shrink the file.
    private static let pagesMoved = 256
    /// The file shrinks when more pages than these are empty, and a quarter of all.
    private static let mostEmptyPages: Int64 = 1024

    /// Writes publishes and removes what exceeds retention, in one transaction.
    ///
    /// - Parameter tailed: Events behind this offset are not removed.
    func commit(_ publishes: [PendingPublish], at time: Int64, tailed: UInt64, in database: Database) throws -> Commit {
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

    /// Removes some of the events that exceed retention.
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

    /// Whether events exceed retention and may be removed.
    func exceedsRetention(at time: Int64, tailed: UInt64) -> Bool {
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
        // Between the commit and the change of the index, readers must not take these events for damage.
        index.withLock { $0.leaving = removal.last }
        if removal.count > 0 { try Removal.merge(index.withLock { $0.trimmed }, with: removal, in: database) }
        return removal
    }

    /// Returns some empty pages to the file system. Returns whether there are more.
    func shrink(in database: Database) throws -> Bool {
        guard try hasManyEmptyPages(database) else { return false }
        try database.execute(sql: "PRAGMA incremental_vacuum(\(Self.pagesMoved))")
        if try hasManyEmptyPages(database) { return true }
        // The checkpoint truncates the file.
        _ = try? database.checkpoint(.truncate)
        return false
    }

    private func hasManyEmptyPages(_ database: Database) throws -> Bool {
        let empty = try Int64.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
        guard empty > Self.mostEmptyPages else { return false }
        return empty > (try Int64.fetchOne(database, sql: "PRAGMA page_count") ?? 0) / 4
    }

    /// Marks the file as properly closed.
    func finish(in database: Database) throws {
        try database.execute(sql: "PRAGMA synchronous = FULL")
        try database.transaction { try LogState.set(cleanEnd: last, in: database) }
    }
}

/// A group of publishes that one transaction writes. It is made within the transaction, and valid once that is
/// committed.
struct Commit {
    /// The offsets of the events of a publish.
    typealias Answer = Result<Range<UInt64>, MartletError>

    private(set) var rows: [EventRow] = []
    private(set) var answers: [Answer] = []
    private let history: History
    private let last: UInt64
    private let time: Int64
    /// The ids and keys of the rows.
    private var ids: Set<ExactText> = []
    private var ranges: [ExactText: Range<UInt64>] = [:]

    /// - Parameters:
    ///   - history: The events in front of these.
    ///   - time: The time for ages.
    init(_ publishes: [PendingPublish], to history: History, at time: Int64, in database: Database) throws {
        self.history = history
        last = history.last
        self.time = max(time, history.time)
        for publish in publishes { answers.append(try add(publish, to: database)) }
    }

    private mutating func add(_ publish: PendingPublish, to database: Database) throws -> Answer {
        if let key = publish.key, let accepted = try accepted(once: key, in: database) {
            return accepted.events == publish.events ? .success(accepted.range) : .failure(.keyReused)
        }
        let first = last + 1 + UInt64(rows.count)
        for event in publish.events {
            var row = EventRow(
                offset: last + 1 + UInt64(rows.count), time: time, event: event, repeatsID: false, publish: nil)
            if let id = event.id {
                row.repeatsID = try !ids.insert(ExactText(id)).inserted || history.contains(id: id, in: database)
            }
            if let key = publish.key, row.offset == first {
                row.publish = EventRow.Publish(key: key, count: publish.events.count)
            }
            try row.insert(into: database)
            rows.append(row)
        }
        let range = first..<first + UInt64(publish.events.count)
        if let key = publish.key { ranges[ExactText(key)] = range }
        return .success(range)
    }

    /// The events that were accepted with a key, in this transaction or before.
    private func accepted(once key: String, in database: Database) throws -> (range: Range<UInt64>, events: [Event])? {
        if let range = ranges[ExactText(key)] {
            return (range, range.map { rows[Int($0 - last - 1)].event })
        }
        guard let range = try history.publish(key: key, in: database) else { return nil }
        var events: [Event] = []
        try EventRow.read(range.lowerBound...range.upperBound - 1, from: database) { row in
            events.append(row.event)
            return true
        }
        return (range, events)
    }
}

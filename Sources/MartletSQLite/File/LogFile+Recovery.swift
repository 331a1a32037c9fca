// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Martlet

extension LogFile {
    /// The contents of a file when it is opened.
    struct Contents: Sendable {
        var index: HistoryIndex
        var kept: Kept
        var segments: EpochSegments
        /// Whether the log was closed properly, so that no event can be lost.
        var isClean: Bool
    }

    /// Reads and verifies the whole file, and marks it as in use. If it was not closed properly, a new epoch begins.
    ///
    /// - Throws: ``SQLiteLogError``. Then the file is unchanged.
    func recover(
        durability: Durability, rules: RetentionRules, trimmedTopics: Int, kept: Kept.Bounds
    ) async throws -> Contents {
        let path = path
        return try await pool.writeWithoutTransaction { database in
            try Self.explain(path) {
                var wasOld = false
                let contents = try database.transaction {
                    try Self.check(database)
                    wasOld = try Self.migrate(database, path)
                    var contents = try Self.read(database, rules, trimmedTopics: trimmedTopics, kept: kept)
                    if !contents.isClean || contents.segments.isEmpty {
                        let (epoch, first) = (Epoch(), contents.index.last + 1)
                        try LogState.append(epoch, from: first, in: database)
                        contents.segments.append(epoch, from: first)
                    }
                    try LogState.set(cleanEnd: nil, in: database)
                    return contents
                }
                if wasOld { Self.writeHeader(database) }
                // Until here every transaction was synced to disk: the mark that the log is in use must not be lost.
                if durability == .os { try database.execute(sql: "PRAGMA synchronous = NORMAL") }
                return contents
            }
        }
    }

    /// The tables that version 2 has added.
    static let keptTables = [
        TopicRow.table, EventRow.valueTable, Thinning.holeTable, Thinning.topicTable, Thinning.topicIndex,
    ]

    /// Brings a file of an older version up to this one. Returns whether it was older.
    private static func migrate(_ database: Database, _ path: String) throws -> Bool {
        let version = try Int32.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        guard version <= Self.version else { throw SQLiteLogError.newer(path) }
        guard version < Self.version else { return false }
        try database.execute(sql: "ALTER TABLE event ADD COLUMN \(EventRow.lifeColumn)")
        for table in keptTables { try database.execute(sql: table) }
        try database.execute(sql: "PRAGMA user_version = \(Self.version)")
        return true
    }

    /// Writes the version into the file itself, as far as readers let it, so that older programs refuse the file.
    private static func writeHeader(_ database: Database) {
        for _ in 0..<100 {
            if (try? database.checkpoint(.truncate)) != nil { return }
            usleep(10_000)
        }
    }

    private static func read(
        _ database: Database, _ rules: RetentionRules, trimmedTopics: Int, kept bounds: Kept.Bounds
    ) throws -> Contents {
        let cleanEnd = try LogState.cleanEnd(in: database)
        var trimmed = TrimmedTopics(capacity: trimmedTopics)
        let removed = try Removal.restore(&trimmed, from: database)
        let thinned = try Thinning.restore(&trimmed, from: database)
        let holes = try Thinning.holes(in: database)
        var scan = HoleScan(holes)
        var index = HistoryIndex(from: removed.last + 1, rules: rules, trimmed: trimmed, trimmedTime: removed.time)
        var kept = Kept(bounds)
        var values: [(offset: UInt64, event: Event)] = []
        try EventRow.forEachValue(in: database) { row in
            guard row.event.key != nil else { throw DamageError.table("one of its values has no key") }
            values.append((row.offset, row.event))
        }
        var next = 0
        func noteValues(before offset: UInt64) {
            while next < values.count, values[next].offset < offset {
                kept.values.note(values[next].event, at: values[next].offset, isStored: true)
                next += 1
            }
        }
        func firstMissing(in range: Range<UInt64>) -> UInt64? { scan.firstMissing(in: range) }
        try EventRow.read(
            0...UInt64(Int64.max), beginningAt: index.first, from: database, firstMissing: firstMissing
        ) { row in
            guard scan.firstMissing(in: row.offset..<row.offset + 1) != nil else {
                throw DamageError.table("an event that was removed is there")
            }
            index.append(row)
            if KeptValues.concerns(row.event) {
                noteValues(before: row.offset)
                kept.values.note(row.event, at: row.offset)
            }
            return true
        }
        index.restore(holes, topics: thinned.count, time: thinned.time)
        noteValues(before: .max)
        guard index.last == cleanEnd ?? index.last else { throw DamageError.event(index.last + 1) }
        let segments = try LogState.segments(in: database)
        // A file without epochs has no topics.
        if !segments.isEmpty {
            try TopicRow.forEach(in: database, position: segments.position) { kept.restore($0, stamp: $1) }
        }
        return Contents(index: index, kept: kept, segments: segments, isClean: cleanEnd != nil)
    }

    /// Checks that the pages of the database are consistent. Rows are verified when they are read.
    static func check(_ database: Database) throws {
        try database.forEachRow("PRAGMA quick_check(1)") { row in
            let result = row.text(0) ?? ""
            guard result == "ok" else { throw DamageError.table(result) }
        }
    }
}

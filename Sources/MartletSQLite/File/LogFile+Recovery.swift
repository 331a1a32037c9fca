// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet

extension LogFile {
    /// The contents of a file when it is opened.
    struct Contents: Sendable {
        var index: HistoryIndex
        var segments: EpochSegments
        /// Whether the log was closed properly, so that no event can be lost.
        var isClean: Bool
    }

    /// Reads and verifies the whole file, and marks it as in use. If it was not closed properly, a new epoch begins.
    ///
    /// - Throws: ``SQLiteLogError``. Then the file is unchanged.
    func recover(durability: Durability, trimmedTopics: Int) async throws -> Contents {
        let path = path
        return try await pool.writeWithoutTransaction { database in
            try Self.explain(path) {
                let contents = try database.transaction {
                    var contents = try Self.read(database, trimmedTopics: trimmedTopics)
                    if !contents.isClean || contents.segments.isEmpty {
                        let (epoch, first) = (Epoch(), contents.index.last + 1)
                        try LogState.append(epoch, from: first, in: database)
                        contents.segments.append(epoch, from: first)
                    }
                    try LogState.set(cleanEnd: nil, in: database)
                    return contents
                }
                // Until here every transaction was synced to disk: the mark that the log is in use must not be lost.
                if durability == .os { try database.execute(sql: "PRAGMA synchronous = NORMAL") }
                return contents
            }
        }
    }

    private static func read(_ database: Database, trimmedTopics: Int) throws -> Contents {
        try check(database)
        let cleanEnd = try LogState.cleanEnd(in: database)
        var trimmed = TrimmedTopics(capacity: trimmedTopics)
        let removed = try Removal.restore(&trimmed, from: database)
        var index = HistoryIndex(from: removed.last + 1, trimmed: trimmed, trimmedTime: removed.time)
        try EventRow.read(0...UInt64(Int64.max), beginningAt: index.first, from: database) { row in
            index.append(row)
            return true
        }
        guard index.last == cleanEnd ?? index.last else { throw DamageError.event(index.last + 1) }
        return Contents(index: index, segments: try LogState.segments(in: database), isClean: cleanEnd != nil)
    }

    /// Checks that the pages of the database are consistent. Rows are verified when they are read.
    static func check(_ database: Database) throws {
        try database.forEachRow("PRAGMA quick_check(1)") { row in
            let result = row.text(0) ?? ""
            guard result == "ok" else { throw DamageError.table(result) }
        }
    }
}

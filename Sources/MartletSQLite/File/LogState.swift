// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet

/// How the file was left, and the epochs that it has had.
enum LogState {
    /// One row: whether the log was closed properly, and what the last event was then.
    static let table = """
        CREATE TABLE state (clean INTEGER NOT NULL, last INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT
        """
    static let segmentTable = """
        CREATE TABLE segment (
            number INTEGER PRIMARY KEY,
            epoch TEXT NOT NULL,
            first INTEGER NOT NULL,
            checksum INTEGER NOT NULL
        ) STRICT
        """

    /// The offset of the last event where the log was closed properly; `nil` where it was not.
    static func cleanEnd(in database: Database) throws -> UInt64? {
        var end: UInt64?
        try database.forEachRow("SELECT clean, last, checksum FROM state") { row in
            let (clean, last) = (row.number(0), row.number(1))
            guard row.number(2) == checksum(clean, last, nil) else { throw Damage.table("how it was left has changed") }
            if clean == 1 { end = last == 0 ? 0 : try row.offset(1) }
        }
        return end
    }

    /// Says that the log is in use, or that it is closed with all that it has.
    static func set(cleanEnd: UInt64?, in database: Database) throws {
        let (clean, last) = (cleanEnd == nil ? 0 : 1 as Int64, Int64(cleanEnd ?? 0))
        try database.execute(sql: "DELETE FROM state")
        try database.execute(
            sql: "INSERT INTO state (clean, last, checksum) VALUES (?, ?, ?)",
            arguments: [clean, last, checksum(clean, last, nil)])
    }

    static func segments(in database: Database) throws -> Segments {
        var segments = Segments()
        try database.forEachRow("SELECT number, epoch, first, checksum FROM segment ORDER BY number") { row in
            let (number, epoch, first) = (row.number(0), row.text(1) ?? "", row.number(2))
            guard row.number(3) == checksum(number, first, epoch) else { throw Damage.table("its epochs have changed") }
            guard let epoch = Epoch(epoch) else { throw Damage.table("one of its epochs is none") }
            segments.append(epoch, from: try row.offset(2))
        }
        return segments
    }

    static func append(_ epoch: Epoch, from first: UInt64, in database: Database) throws {
        let number = try (Int64.fetchOne(database, sql: "SELECT max(number) FROM segment") ?? 0) + 1
        try database.execute(
            sql: "INSERT INTO segment (number, epoch, first, checksum) VALUES (?, ?, ?, ?)",
            arguments: [number, epoch.text, first, checksum(number, Int64(first), epoch.text)])
        try database.execute(sql: "DELETE FROM segment WHERE number <= ?", arguments: [number - Int64(Segments.most)])
    }

    private static func checksum(_ first: Int64, _ second: Int64, _ text: String?) -> Int64 {
        var checksum = Checksum()
        checksum.combine(first)
        checksum.combine(second)
        checksum.combine(text)
        return checksum.value
    }
}

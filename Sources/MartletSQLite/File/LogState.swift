// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet

/// How the file was closed, and its epochs.
enum LogState {
    /// One row: whether the log was closed properly, and its last event then.
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

    /// The offset of the last event if the log was closed properly, otherwise `nil`.
    static func cleanEnd(in database: Database) throws -> UInt64? {
        var end: UInt64?
        try database.forEachRow("SELECT clean, last, checksum FROM state") { row in
            let (clean, last) = (row.number(0), row.number(1))
            guard row.number(2) == checksum(clean, last, nil) else {
                throw DamageError.table("the record of how it was closed has changed")
            }
            if clean == 1 { end = last == 0 ? 0 : try row.offset(1) }
        }
        return end
    }

    /// Marks the log as properly closed with this last event, or as in use.
    static func set(cleanEnd: UInt64?, in database: Database) throws {
        let (clean, last) = (cleanEnd == nil ? 0 : 1 as Int64, Int64(cleanEnd ?? 0))
        try database.execute(sql: "DELETE FROM state")
        try database.execute(
            sql: "INSERT INTO state (clean, last, checksum) VALUES (?, ?, ?)",
            arguments: [clean, last, checksum(clean, last, nil)])
    }

    static func segments(in database: Database) throws -> EpochSegments {
        var segments = EpochSegments()
        try database.forEachRow("SELECT number, epoch, first, checksum FROM segment ORDER BY number") { row in
            let (number, epoch, first) = (row.number(0), row.text(1) ?? "", row.number(2))
            guard row.number(3) == checksum(number, first, epoch) else {
                throw DamageError.table("the record of its epochs has changed")
            }
            guard let epoch = Epoch(epoch) else { throw DamageError.table("one of its epochs is invalid") }
            segments.append(epoch, from: try row.offset(2))
        }
        return segments
    }

    static func append(_ epoch: Epoch, from first: UInt64, in database: Database) throws {
        let number = try (Int64.fetchOne(database, sql: "SELECT max(number) FROM segment") ?? 0) + 1
        try database.execute(
            sql: "INSERT INTO segment (number, epoch, first, checksum) VALUES (?, ?, ?, ?)",
            arguments: [number, epoch.text, first, checksum(number, Int64(first), epoch.text)])
        try database.execute(
            sql: "DELETE FROM segment WHERE number <= ?", arguments: [number - Int64(EpochSegments.most)])
    }

    private static func checksum(_ first: Int64, _ second: Int64, _ text: String?) -> Int64 {
        var checksum = Checksum()
        checksum.combine(first)
        checksum.combine(second)
        checksum.combine(text)
        return checksum.value
    }
}

/// The epochs of a file, each from an offset on. A new one begins whenever events may have been lost, so that a lost
/// event is never taken for the event that has its number now. Older epochs stay known.
struct EpochSegments {
    private struct Segment {
        var epoch: Epoch
        /// The offset of its first event, or of the first event that it could have had.
        var first: UInt64
    }

    /// The most epochs that are remembered. Positions of others count as those of another log.
    static let most = 1024

    private var segments: [Segment] = []

    var isEmpty: Bool { segments.isEmpty }
    var count: Int { segments.count }

    /// - Parameter first: Not less than that of the newest epoch.
    mutating func append(_ epoch: Epoch, from first: UInt64) {
        segments.append(Segment(epoch: epoch, first: first))
        if segments.count > Self.most { segments.removeFirst() }
    }

    /// The position behind the event at an offset; 0 for the position in front of all events.
    func position(_ offset: UInt64) -> Position {
        let segment = segments.last { $0.first <= offset } ?? segments[0]
        return segment.epoch.position(offset)
    }

    /// Whether one position of these epochs is at or behind another.
    func covers(_ a: Position, _ b: Position) -> Bool {
        guard case .at(let a) = find(a.text, last: .max), case .at(let b) = find(b.text, last: .max) else {
            return false
        }
        return a >= b
    }

    enum Place: Equatable {
        case at(UInt64)
        /// Behind the last event of its epoch: the event was lost.
        case lost
    }

    /// The place of an id that is a position of one of the epochs, otherwise `nil`.
    ///
    /// - Parameter last: The offset of the last event.
    func find(_ id: String, last: UInt64) -> Place? {
        guard let (epoch, offset) = Epoch.parts(of: id),
            let index = segments.lastIndex(where: { $0.epoch == epoch })
        else { return nil }
        let end = index + 1 < segments.count ? segments[index + 1].first - 1 : last
        return offset <= end ? .at(offset) : .lost
    }
}

// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet

/// Some of the oldest events, removed in one transaction, and what is remembered of them.
struct Removal {
    /// The offset of the newest of them; if there are none, of the event in front of history.
    var last: UInt64
    var count = 0
    /// As retention counts.
    var byteCount = 0
    /// The time of the newest of them.
    var time: Int64?
    /// The oldest event that is left is not older than this.
    var oldestLeft: Int64?
    /// The events without their data.
    var events: [(offset: UInt64, event: Event)] = []
    /// Those of them that are values of keys. Their rows have moved.
    var kept: [(offset: UInt64, event: Event)] = []

    /// The most events that are removed in one transaction, so that publishing does not wait for long.
    static let mostEvents = 1000

    /// What is remembered of removed events: ``TrimmedTopics/lines``, one row for each removal. If there are many rows,
    /// they are merged into one.
    static let table = """
        CREATE TABLE removal (
            last INTEGER PRIMARY KEY,
            time INTEGER NOT NULL,
            topics TEXT NOT NULL,
            checksum INTEGER NOT NULL
        ) STRICT
        """

    /// How many rows there are before they are merged.
    private static let mostRows = 64

    /// Removes the oldest events while a closure says so, within a transaction.
    ///
    /// - Parameters:
    ///   - offsets: The events that may be removed, from the oldest event of history on.
    ///   - firstMissing: The first offset of a range that is in history.
    ///   - isExcess: Whether to remove an event, after all in front of it.
    ///   - isValue: Whether an event is the value of its key.
    init(
        _ offsets: ClosedRange<UInt64>, from database: Database,
        firstMissing: (Range<UInt64>) -> UInt64? = { $0.lowerBound },
        while isExcess: (_ removal: Removal, _ row: EventRow) -> Bool, isValue: (EventRow) -> Bool = { _ in false }
    ) throws {
        last = offsets.lowerBound - 1
        try EventRow.read(offsets, from: database, firstMissing: firstMissing) { row in
            oldestLeft = row.time
            guard count < Self.mostEvents, isExcess(self, row) else { return false }
            last = row.offset
            count += 1
            byteCount += row.event.byteCount
            time = row.time
            var event = row.event
            event.data = ""
            events.append((row.offset, event))
            if event.key != nil, isValue(row) { kept.append((row.offset, event)) }
            return true
        }
        guard let time else { return }
        for (offset, _) in kept { try EventRow.keep(offset, in: database) }
        try database.execute(sql: "DELETE FROM event WHERE offset <= ?", arguments: [last])
        var topics = TrimmedTopics(capacity: .max)
        for (offset, event) in events { topics.insert(event, at: offset) }
        try Self.insert(topics, last: last, time: time, into: database)
    }

    private static func insert(_ topics: TrimmedTopics, last: UInt64, time: Int64, into database: Database) throws {
        let lines = topics.lines
        try database.execute(
            sql: "INSERT INTO removal (last, time, topics, checksum) VALUES (?, ?, ?, ?)",
            arguments: [last, time, lines, checksum(last, time, lines)])
    }

    private static func checksum(_ last: UInt64, _ time: Int64, _ lines: String) -> Int64 {
        var checksum = Checksum()
        checksum.combine(last)
        checksum.combine(time)
        checksum.combine(lines)
        return checksum.value
    }

    /// Merges the rows into one if there are many.
    ///
    /// - Parameters:
    ///   - topics: What was remembered before.
    ///   - removal: What to remember in addition.
    static func merge(_ topics: @autoclosure () -> TrimmedTopics, with removal: Removal, in database: Database) throws {
        try database.forEachRow("SELECT count(*), max(last), max(time) FROM removal") { row in
            guard row.number(0) > mostRows else { return }
            let (last, time) = (try row.offset(1), row.number(2))
            var topics = topics()
            for (offset, event) in removal.events { topics.insert(event, at: offset) }
            try database.execute(sql: "DELETE FROM removal")
            try insert(topics, last: last, time: time, into: database)
        }
    }

    /// Reads everything that is remembered. Returns the newest offset and the newest time of a removed event.
    static func restore(_ topics: inout TrimmedTopics, from database: Database) throws -> (last: UInt64, time: Int64?) {
        var newest: (last: UInt64, time: Int64?) = (0, nil)
        try database.forEachRow("SELECT last, time, topics, checksum FROM removal ORDER BY last") { row in
            let (last, time, lines) = (try row.offset(0), row.number(1), row.text(2) ?? "")
            guard checksum(last, time, lines) == row.number(3), topics.insert(lines: lines) else {
                throw DamageError.table("the record of removed events has changed")
            }
            newest = (last, time)
        }
        return newest
    }
}

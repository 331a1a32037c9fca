// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet

/// Some events that rules have removed from the middle of history, in one transaction, and what is remembered of them.
struct Thinning {
    /// Without their data.
    private(set) var events: [(row: EventRow, byteCount: Int)] = []
    /// Those of them that are values of keys. Their rows have moved.
    private(set) var kept: [(offset: UInt64, event: Event)] = []
    /// How many topics were remembered for the first time.
    private(set) var newTopics = 0

    /// The events between two that are in history, so that a missing event is told from a removed one.
    static let holeTable = """
        CREATE TABLE hole (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT
        """

    /// The newest of the removed events for each topic and audience, as ``TrimmedTopics`` names them. In the row without
    /// a name: the newest of those that are no longer remembered.
    static let topicTable = """
        CREATE TABLE thinned (
            name TEXT PRIMARY KEY,
            last INTEGER NOT NULL,
            time INTEGER NOT NULL,
            checksum INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """
    static let topicIndex = "CREATE INDEX thinned_last ON thinned (last)"

    /// An event with several topics may be older than one that was removed before.
    private static let update = "UPDATE thinned SET last = ?1, time = ?2, checksum = ?3 WHERE name = ?4 AND last < ?1"
    private static let insertion = "INSERT OR IGNORE INTO thinned (last, time, checksum, name) VALUES (?1, ?2, ?3, ?4)"

    var byteCount: Int { events.reduce(0) { $0 + $1.byteCount } }

    /// Removes events within a transaction.
    ///
    /// - Parameters:
    ///   - offsets: Events in history, ascending.
    ///   - holes: What this makes of the holes in history.
    ///   - spareTopics: How many more topics to remember, at most.
    ///   - isValue: Whether an event is the value of its key.
    init(
        _ offsets: [UInt64], holes: [ClosedRange<UInt64>], spareTopics: Int, in database: Database,
        isValue: (EventRow) -> Bool
    ) throws {
        var topics: [String: EventRow] = [:]
        for offset in offsets {
            guard var row = try EventRow.read(offset, from: database) else { throw DamageError.event(offset) }
            let byteCount = row.event.byteCount
            if row.event.key != nil, isValue(row) {
                try EventRow.keep(offset, in: database)
                kept.append((offset, row.event))
            }
            try EventRow.remove(offset, from: .event, in: database)
            row.event.data = ""
            events.append((row, byteCount))
            for name in TrimmedTopics.names(of: row.event) { topics[name] = row }
        }
        try Self.writeHoles(holes, in: database)
        for (name, row) in topics where try Self.write(name, last: row.offset, time: row.time, in: database) {
            newTopics += 1
        }
        if newTopics > spareTopics { newTopics -= try Self.forgetOldest(newTopics - spareTopics, in: database) }
    }

    private static func writeHoles(_ holes: [ClosedRange<UInt64>], in database: Database) throws {
        let deletion = try database.cachedStatement(sql: "DELETE FROM hole WHERE first BETWEEN ? AND ?")
        let insertion = try database.cachedStatement(sql: "INSERT INTO hole (first, last, checksum) VALUES (?, ?, ?)")
        for hole in holes {
            deletion.bind(hole.lowerBound, at: 1)
            deletion.bind(hole.upperBound, at: 2)
            try deletion.run()
            insertion.bind(hole.lowerBound, at: 1)
            insertion.bind(hole.upperBound, at: 2)
            insertion.bind(checksum(hole.lowerBound, Int64(hole.upperBound), ""), at: 3)
            try insertion.run()
        }
    }

    /// Forgets the holes in front of history.
    static func removeHoles(through offset: UInt64, in database: Database) throws {
        let deletion = try database.cachedStatement(sql: "DELETE FROM hole WHERE first <= ?")
        deletion.bind(offset, at: 1)
        try deletion.run()
    }

    /// Returns whether the name is new.
    private static func write(_ name: String, last: UInt64, time: Int64, in database: Database) throws -> Bool {
        for sql in [update, insertion] {
            let statement = try database.cachedStatement(sql: sql)
            statement.bind(last, at: 1)
            statement.bind(time, at: 2)
            statement.bind(checksum(last, time, name), at: 3)
            statement.bind(name, at: 4)
            try statement.run()
            if database.changesCount > 0 { return sql == insertion }
        }
        return false
    }

    /// Returns how many were forgotten.
    private static func forgetOldest(_ count: Int, in database: Database) throws -> Int {
        var newest: (last: UInt64, time: Int64)?
        try database.forEachRow("SELECT last, time FROM thinned WHERE name != '' ORDER BY last LIMIT \(count)") { row in
            newest = (try row.offset(0), max(newest?.time ?? 0, row.number(1)))
        }
        guard let newest else { return 0 }
        try database.execute(sql: "DELETE FROM thinned WHERE last <= ? AND name != ''", arguments: [newest.last])
        let forgotten = database.changesCount
        _ = try write("", last: newest.last, time: newest.time, in: database)
        return forgotten
    }

    private static func checksum(_ last: UInt64, _ number: Int64, _ name: String) -> Int64 {
        var checksum = Checksum()
        checksum.combine(last)
        checksum.combine(number)
        checksum.combine(name)
        return checksum.value
    }

    /// Reads what is remembered. Returns the number of topics, and the newest time of a removed event.
    static func restore(_ topics: inout TrimmedTopics, from database: Database) throws -> (count: Int, time: Int64?) {
        var (count, newest) = (0, nil as Int64?)
        try database.forEachRow("SELECT last, time, checksum, name FROM thinned") { row in
            let (last, time, name) = (try row.offset(0), row.number(1), row.text(3) ?? "")
            guard checksum(last, time, name) == row.number(2) else {
                throw DamageError.table("the record of removed events has changed")
            }
            newest = max(newest ?? time, time)
            if name.isEmpty { return topics.raiseFloor(to: last) }
            guard topics.insert(Substring(name), at: last) else {
                throw DamageError.table("the record of removed events has changed")
            }
            count += 1
        }
        return (count, newest)
    }

    /// The holes in history, in their order.
    static func holes(in database: Database) throws -> [ClosedRange<UInt64>] {
        var holes: [ClosedRange<UInt64>] = []
        try database.forEachRow("SELECT first, last, checksum FROM hole ORDER BY first") { row in
            let (first, last) = (try row.offset(0), try row.offset(1))
            guard checksum(first, Int64(last), "") == row.number(2), first <= last,
                holes.last.map({ $0.upperBound < first }) ?? true
            else { throw DamageError.table("the record of removed events has changed") }
            holes.append(first...last)
        }
        return holes
    }
}

/// Tells removed events from missing ones while the rows of history are read in their order. A value.
struct HoleScan {
    private let holes: [ClosedRange<UInt64>]
    private var place = 0

    init(_ holes: [ClosedRange<UInt64>]) { self.holes = holes }

    /// The first offset of a range that no rule has removed.
    ///
    /// - Parameter range: Not in front of any before.
    mutating func firstMissing(in range: Range<UInt64>) -> UInt64? {
        var offset = range.lowerBound
        while offset < range.upperBound {
            while place < holes.count, holes[place].upperBound < offset { place += 1 }
            guard place < holes.count, holes[place].contains(offset) else { return offset }
            offset = holes[place].upperBound + 1
        }
        return nil
    }
}

// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import MartletSupport

/// An event as a row of the file.
struct EventRow {
    /// The number of the event, from 1 on over the whole life of the file.
    var offset: UInt64
    /// When it was accepted, in milliseconds since 1970; not before the event in front of it.
    var time: Int64
    var event: Event
    /// Whether an earlier event in history had the same id.
    var repeatsID: Bool
    /// The publish of which the event is the first, if it had an idempotency key.
    var publish: Publish?

    struct Publish {
        var key: String
        /// The number of its events.
        var count: Int
    }
}

extension EventRow {
    /// Tables with such rows.
    enum Table: String {
        /// History.
        case event
        /// Values of keys whose events have left history.
        case value
    }

    static let table = definition(of: .event)
    static let valueTable = definition(of: .value)

    private static func definition(of table: Table) -> String {
        """
        CREATE TABLE \(table.rawValue) (
            offset INTEGER PRIMARY KEY,
            time INTEGER NOT NULL,
            topic TEXT NOT NULL,
            alternates TEXT,
            data TEXT NOT NULL,
            id TEXT,
            repeats_id INTEGER NOT NULL,
            type TEXT,
            retry INTEGER,
            key TEXT,
            private INTEGER NOT NULL,
            publish_key TEXT,
            publish_count INTEGER,
            checksum INTEGER NOT NULL,
            \(lifeColumn)
        ) STRICT
        """
    }

    /// What the event says about itself and its topic. Files of version 1 lack it.
    static let lifeColumn = "life TEXT"

    /// In the order in which the columns are read and written below. Alternate topics have one line each.
    private static let columns = """
        offset, time, topic, alternates, data, id, repeats_id, type, retry, key, private, publish_key, publish_count, checksum, life
        """
    private static let texts: [CInt] = [2, 3, 4, 5, 7, 9, 11]
    private static let numbers: [CInt] = [0, 1, 6, 8, 10, 12]
    private static let checksum: CInt = 13
    private static let life: CInt = 14

    private static let insertion = "INSERT INTO event (\(columns)) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
    private static let range = "SELECT \(columns) FROM event WHERE offset BETWEEN ? AND ? ORDER BY offset"
    private static let publishes = """
        SELECT offset, publish_key, publish_count FROM event WHERE publish_key IS NOT NULL ORDER BY offset
        """
    private static let one = "SELECT \(columns) FROM event WHERE offset = ?"
    private static let oneValue = "SELECT \(columns) FROM value WHERE offset = ?"
    private static let values = "SELECT \(columns) FROM value ORDER BY offset"
    private static let moving = "INSERT INTO value (\(columns)) SELECT \(columns) FROM event WHERE offset = ?"

    func insert(into database: Database) throws {
        let statement = try database.cachedStatement(sql: Self.insertion)
        let alternates = event.alternates.isEmpty ? nil : event.alternates.map(\.name).joined(separator: "\n")
        let texts = [event.topic.name, alternates, event.data, event.id, event.type, event.key, publish?.key]
        let numbers = [
            Int64(offset), time, repeatsID ? 1 : 0, event.retry.map(Int64.init), event.isPrivate ? 1 : 0,
            publish.map { Int64($0.count) },
        ]
        var checksum = Checksum()
        for (column, number) in zip(Self.numbers, numbers) {
            statement.bind(number, at: column + 1)
            checksum.combine(number ?? Int64.min)
        }
        for (column, text) in zip(Self.texts, texts) {
            statement.bind(text, at: column + 1)
            checksum.combine(text)
        }
        let statements = event.statements
        statement.bind(statements, at: Self.life + 1)
        if let statements { checksum.combine(statements) }
        statement.bind(checksum.value, at: Self.checksum + 1)
        try statement.run()
    }

    /// Reads the current row of a statement with these ``columns``.
    ///
    /// - Throws: ``DamageError`` if it is not what was written.
    private init(_ statement: Statement) throws {
        var checksum = Checksum()
        for column in Self.numbers { checksum.combine(statement.optionalNumber(column) ?? Int64.min) }
        for column in Self.texts {
            if statement.isNull(column) {
                checksum.combine(nil as String?)
            } else {
                statement.withBytes(column) { checksum.combine($0) }
            }
        }
        let hasStatements = !statement.isNull(Self.life)
        if hasStatements { statement.withBytes(Self.life) { checksum.combine($0) } }
        offset = try statement.offset(0)
        guard checksum.value == statement.number(Self.checksum) else { throw DamageError.event(offset) }
        time = statement.number(1)
        let alternates = statement.text(3)?.splitExactly(at: UInt8(ascii: "\n")) ?? []
        guard let topic = try? Topic(statement.text(2) ?? ""),
            let alternates = try? alternates.map({ try Topic(String($0)) })
        else { throw DamageError.event(offset) }
        event = Event(
            topic: topic,
            alternates: alternates,
            data: statement.text(4) ?? "",
            id: statement.text(5),
            type: statement.text(7),
            retry: statement.optionalNumber(8).map(Int.init),
            key: statement.text(9),
            isPrivate: statement.number(10) == 1
        )
        if hasStatements, !event.take(statements: statement.text(Self.life) ?? "") { throw DamageError.event(offset) }
        repeatsID = statement.number(6) == 1
        let publishCount = statement.number(12)
        publish = statement.text(11).map { Publish(key: $0, count: Int(publishCount)) }
        guard publish == nil || (1...Self.mostPublished).contains(publishCount) else { throw DamageError.event(offset) }
    }

    /// No publish has as many events.
    private static let mostPublished: Int64 = 1 << 32

    /// Calls a closure with the rows of a range, in their order, until it returns `false`.
    ///
    /// - Parameters:
    ///   - first: The offset that the first row must have; `nil` for the beginning of the range.
    ///   - firstMissing: The first offset of a range that should have a row, if there is one. By default each should.
    /// - Returns: The offset behind the last row. It shows whether rows are missing at the end.
    /// - Throws: ``DamageError``, also if a row in front of another is missing.
    @discardableResult
    static func read(
        _ offsets: ClosedRange<UInt64>, beginningAt first: UInt64? = nil, from database: Database,
        firstMissing: (Range<UInt64>) -> UInt64? = { $0.lowerBound },
        _ body: (EventRow) throws -> Bool
    ) throws -> UInt64 {
        let statement = try database.cachedStatement(sql: range)
        defer { statement.reset() }
        statement.bind(offsets.lowerBound, at: 1)
        statement.bind(offsets.upperBound, at: 2)
        var next = first ?? offsets.lowerBound
        while try statement.step() {
            let row = try EventRow(statement)
            if row.offset != next {
                guard next < row.offset else { throw DamageError.event(row.offset) }
                if let missing = firstMissing(next..<row.offset) { throw DamageError.event(missing) }
            }
            next = row.offset + 1
            guard try body(row) else { break }
        }
        return next
    }

    /// Calls a closure with the publishes that had a key, and the offsets of their first events.
    static func forEachPublish(in database: Database, _ body: (UInt64, Publish) -> Void) throws {
        try database.forEachRow(publishes) { row in
            body(try row.offset(0), Publish(key: row.text(1) ?? "", count: Int(row.number(2))))
        }
    }

    /// Copies a row of history to the values.
    static func keep(_ offset: UInt64, in database: Database) throws {
        let statement = try database.cachedStatement(sql: moving)
        statement.bind(offset, at: 1)
        try statement.run()
    }

    static func remove(_ offset: UInt64, from table: Table, in database: Database) throws {
        let statement = try database.cachedStatement(sql: "DELETE FROM \(table.rawValue) WHERE offset = ?")
        statement.bind(offset, at: 1)
        try statement.run()
    }

    /// Calls a closure with the values that have left history, in their order.
    static func forEachValue(in database: Database, _ body: (EventRow) throws -> Void) throws {
        try database.forEachRow(values) { try body(EventRow($0)) }
    }

    /// Reads one row; `nil` if there is none.
    static func read(_ offset: UInt64, in table: Table = .event, from database: Database) throws -> EventRow? {
        let statement = try database.cachedStatement(sql: table == .event ? one : oneValue)
        defer { statement.reset() }
        statement.bind(offset, at: 1)
        return try statement.step() ? EventRow(statement) : nil
    }
}

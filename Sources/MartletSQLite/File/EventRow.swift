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
    static let table = """
        CREATE TABLE event (
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
            checksum INTEGER NOT NULL
        ) STRICT
        """

    /// In the order in which the columns are read and written below. Alternate topics have one line each.
    private static let columns = """
        offset, time, topic, alternates, data, id, repeats_id, type, retry, key, private, publish_key, publish_count, checksum
        """
    private static let texts: [CInt] = [2, 3, 4, 5, 7, 9, 11]
    private static let numbers: [CInt] = [0, 1, 6, 8, 10, 12]
    private static let checksum: CInt = 13

    private static let insertion = "INSERT INTO event (\(columns)) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
    private static let range = "SELECT \(columns) FROM event WHERE offset BETWEEN ? AND ? ORDER BY offset"
    private static let one = "SELECT \(columns) FROM event WHERE offset = ?"

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
        repeatsID = statement.number(6) == 1
        let publishCount = statement.number(12)
        publish = statement.text(11).map { Publish(key: $0, count: Int(publishCount)) }
        guard publish == nil || (1...Self.mostPublished).contains(publishCount) else { throw DamageError.event(offset) }
    }

    /// No publish has as many events.
    private static let mostPublished: Int64 = 1 << 32

    /// Calls a closure with the rows of a range, in their order, until it returns `false`.
    ///
    /// - Parameter first: The offset that the first row must have; `nil` for the beginning of the range.
    /// - Returns: The offset behind the last row. It shows whether rows are missing at the end.
    /// - Throws: ``DamageError``, also if a row in front of another is missing.
    @discardableResult
    static func read(
        _ offsets: ClosedRange<UInt64>, beginningAt first: UInt64? = nil, from database: Database,
        _ body: (EventRow) throws -> Bool
    ) throws -> UInt64 {
        let statement = try database.cachedStatement(sql: range)
        defer { statement.reset() }
        statement.bind(offsets.lowerBound, at: 1)
        statement.bind(offsets.upperBound, at: 2)
        var next = first ?? offsets.lowerBound
        while try statement.step() {
            let row = try EventRow(statement)
            guard row.offset == next else { throw DamageError.event(next) }
            next += 1
            guard try body(row) else { break }
        }
        return next
    }

    /// Reads one row; `nil` if there is none.
    static func read(_ offset: UInt64, from database: Database) throws -> EventRow? {
        let statement = try database.cachedStatement(sql: one)
        defer { statement.reset() }
        statement.bind(offset, at: 1)
        return try statement.step() ? EventRow(statement) : nil
    }
}

// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import MartletSupport

/// What outlives the events of a topic, as a row of the file.
enum TopicRow {
    /// Positions are stored as offsets, and the writer as its epoch, a space, and its name. The row with the least stamp
    /// changed least recently.
    static let table = """
        CREATE TABLE topic (
            stamp INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            ended INTEGER,
            writer TEXT,
            expires INTEGER,
            last INTEGER,
            gone INTEGER,
            checksum INTEGER NOT NULL
        ) STRICT
        """

    private static let columns = "stamp, name, ended, writer, expires, last, gone, checksum"
    private static let insertion = "INSERT OR REPLACE INTO topic (\(columns)) VALUES (?,?,?,?,?,?,?,?)"
    private static let all = "SELECT \(columns) FROM topic ORDER BY stamp"
    private static let removal = "DELETE FROM topic WHERE stamp IN (SELECT stamp FROM topic ORDER BY stamp LIMIT ?)"

    /// Writes a topic in the place of its row from before.
    ///
    /// - Parameter offset: The offset of a position of this log.
    static func insert(
        _ entry: TopicBook.Entry, stamp: Int64, offset: (Position) -> UInt64?, into database: Database
    ) throws {
        let statement = try database.cachedStatement(sql: insertion)
        func number(_ position: Position?) -> Int64? { position.flatMap(offset).map(Int64.init) }
        let numbers = [
            stamp, number(entry.end), entry.expires?.milliseconds, number(entry.last), number(entry.goneThrough),
        ]
        let texts = [entry.topic.name, entry.writer.map { "\($0.epoch) \($0.name)" }]
        for (column, number) in zip([1, 3, 5, 6, 7] as [CInt], numbers) { statement.bind(number, at: column) }
        for (column, text) in zip([2, 4] as [CInt], texts) { statement.bind(text, at: column) }
        statement.bind(checksum(numbers, texts), at: 8)
        try statement.run()
    }

    /// Removes the rows that changed least recently.
    static func removeOldest(_ count: Int, from database: Database) throws {
        let statement = try database.cachedStatement(sql: removal)
        statement.bind(Int64(count), at: 1)
        try statement.run()
    }

    /// Reads all topics, the one that changed least recently first.
    ///
    /// - Throws: ``DamageError`` if a row is not what was written.
    static func forEach(
        in database: Database, position: (UInt64) -> Position, _ body: (TopicBook.Entry, _ stamp: Int64) -> Void
    ) throws {
        try database.forEachRow(all) { row in
            let numbers = [0, 2, 4, 5, 6].map { row.optionalNumber($0) }
            let texts = [row.text(1), row.text(3)]
            guard checksum(numbers, texts) == row.number(7), let topic = texts[0].flatMap({ try? Topic($0) }),
                let stamp = numbers[0]
            else { throw DamageError.table("what is known of a topic has changed") }
            var entry = TopicBook.Entry(topic: topic)
            (entry.end, entry.last) = (try place(numbers[1]), try place(numbers[3]))
            entry.goneThrough = try place(numbers[4])
            entry.expires = numbers[2].map { WallTime(milliseconds: $0) }
            if let text = texts[1] {
                guard let (epoch, name) = text.cutExactly(at: UInt8(ascii: " ")), let epoch = UInt64(epoch) else {
                    throw DamageError.table("the writer of a topic has changed")
                }
                entry.writer = TopicWriter(String(name), epoch: epoch)
            }
            body(entry, stamp)
        }
        func place(_ number: Int64?) throws -> Position? {
            guard let number else { return nil }
            guard (0...1 << 62).contains(number) else { throw DamageError.table("a topic has an invalid number") }
            return position(UInt64(number))
        }
    }

    private static func checksum(_ numbers: [Int64?], _ texts: [String?]) -> Int64 {
        var checksum = Checksum()
        for number in numbers { checksum.combine(number ?? Int64.min) }
        for text in texts { checksum.combine(text) }
        return checksum.value
    }
}

// SPDX-License-Identifier: Apache-2.0

import GRDB
import GRDBSQLite

extension Database {
    /// Calls a closure with the statement for each row of a query.
    func forEachRow(_ sql: String, _ body: (Statement) throws -> Void) throws {
        let statement = try cachedStatement(sql: sql)
        defer { statement.reset() }
        while try statement.step() { try body(statement) }
    }

    /// Writes everything that a closure writes, or nothing. Returns the result of the closure once that is committed.
    func transaction<Value>(_ body: () throws -> Value) throws -> Value {
        try beginTransaction(.immediate)
        do {
            let value = try body()
            try commit()
            return value
        } catch {
            try? rollback()
            throw error
        }
    }
}

/// Texts are passed to SQLite and back with their length: they may contain NUL, at which the conversions of GRDB stop.
///
/// The pointers that SQLite returns are valid until the next step of the statement. None of them leaves its function.
extension Statement {
    func bind(_ number: Int64?, at index: CInt) {
        if let number {
            sqlite3_bind_int64(sqliteStatement, index, number)
        } else {
            sqlite3_bind_null(sqliteStatement, index)
        }
    }

    func bind(_ number: UInt64, at index: CInt) { bind(Int64(number), at: index) }

    func bind(_ text: String?, at index: CInt) {
        guard var text else { return bind(nil as Int64?, at: index) }
        // SQLite copies a text that is marked as transient.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        _ = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                sqlite3_bind_text64(
                    sqliteStatement, index, $0.baseAddress, UInt64($0.count), transient, UInt8(SQLITE_UTF8))
            }
        }
    }

    /// Steps to the next row. Returns whether there is one.
    func step() throws -> Bool {
        let code = sqlite3_step(sqliteStatement)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        let message = String(cString: sqlite3_errmsg(sqlite3_db_handle(sqliteStatement)))
        throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message)
    }

    /// Runs a statement that returns no rows.
    func run() throws {
        defer { reset() }
        while try step() {}
    }

    func reset() { sqlite3_reset(sqliteStatement) }

    func number(_ column: CInt) -> Int64 { sqlite3_column_int64(sqliteStatement, column) }

    /// The number of an event, from 1 on.
    ///
    /// - Throws: ``DamageError`` if no event can have it.
    func offset(_ column: CInt) throws -> UInt64 {
        let number = number(column)
        guard (1...1 << 62).contains(number) else { throw DamageError.table("one of its events has an invalid number") }
        return UInt64(number)
    }

    func optionalNumber(_ column: CInt) -> Int64? { isNull(column) ? nil : number(column) }

    func text(_ column: CInt) -> String? {
        isNull(column) ? nil : withBytes(column) { String(decoding: $0, as: UTF8.self) }
    }

    /// Calls a closure with the bytes of a text.
    func withBytes<Value>(_ column: CInt, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        let start = sqlite3_column_blob(sqliteStatement, column)
        return body(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(sqliteStatement, column))))
    }

    func isNull(_ column: CInt) -> Bool { sqlite3_column_type(sqliteStatement, column) == SQLITE_NULL }
}

/// Shows whether a row is what was written. A change of any one value always changes the sum, since every step is a
/// bijection of the state. It protects from accidents, not from attackers that can write to the file.
struct Checksum {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// As SQLite stores it.
    var value: Int64 { Int64(bitPattern: state) }

    mutating func combine(_ word: UInt64) {
        state = (state ^ word) &* 0xFF51_AFD7_ED55_8CCD
        state ^= state >> 32
    }

    mutating func combine(_ word: Int64) { combine(UInt64(bitPattern: word)) }

    /// - Parameter bytes: `nil` differs from an empty text.
    mutating func combine(_ bytes: UnsafeRawBufferPointer?) {
        guard let bytes else { return combine(UInt64.max) }
        combine(UInt64(bytes.count))
        var offset = 0
        while offset + 8 <= bytes.count {
            combine(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
        }
        combine(bytes[offset...].reduce(0) { $0 << 8 | UInt64($1) })
    }

    mutating func combine(_ text: String?) {
        guard var text else { return combine(UInt64.max) }
        text.withUTF8 { combine(UnsafeRawBufferPointer($0)) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import GRDB
import GRDBSQLite

extension Database {
    /// Calls a closure with the statement at each row of a query.
    func forEachRow(_ sql: String, _ body: (Statement) throws -> Void) throws {
        let statement = try cachedStatement(sql: sql)
        defer { statement.reset() }
        while try statement.step() { try body(statement) }
    }

    /// Writes all that a closure writes, or nothing. Returns what the closure does once it is committed.
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

/// Texts go to SQLite and come back with their length: they may hold NUL, at which the conversions of GRDB stop.
///
/// The pointers that SQLite gives out are good until the statement moves on. None of them leaves its function.
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
        // SQLite copies what it is told is transient.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        _ = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                sqlite3_bind_text64(
                    sqliteStatement, index, $0.baseAddress, UInt64($0.count), transient, UInt8(SQLITE_UTF8))
            }
        }
    }

    /// Moves on to the next row. Returns whether there is one.
    func step() throws -> Bool {
        let code = sqlite3_step(sqliteStatement)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        let message = String(cString: sqlite3_errmsg(sqlite3_db_handle(sqliteStatement)))
        throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message)
    }

    /// Runs a statement that gives no rows.
    func run() throws {
        defer { reset() }
        while try step() {}
    }

    func reset() { sqlite3_reset(sqliteStatement) }

    func number(_ column: CInt) -> Int64 { sqlite3_column_int64(sqliteStatement, column) }

    /// Which event it is, counted from 1.
    ///
    /// - Throws: ``Damage`` where it is none that there could be.
    func offset(_ column: CInt) throws -> UInt64 {
        let number = number(column)
        guard (1...1 << 62).contains(number) else { throw Damage.table("one of its events has no number") }
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

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The first bytes of a database file (SQLite's file format, section 1.3), read without SQLite: so nothing is changed in a
/// file that is none of ours.
struct FileHeader {
    private let path: String
    private let bytes: [UInt8]

    private static let size = 100
    private static let magic = Array("SQLite format 3\0".utf8)
    private static let versionPlace = 60
    private static let applicationPlace = 68

    /// - Parameter descriptor: Of the file, which is left open.
    init(of path: String, _ descriptor: CInt) throws(SQLiteLogError) {
        self.path = path
        var bytes = [UInt8](repeating: 0, count: Self.size)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count >= 0 else {
            throw SQLiteLogError(.unavailable, "The log \(path) cannot be read: \(SystemError()).")
        }
        self.bytes = Array(bytes.prefix(count))
    }

    /// Throws where the file is not a log that this version knows.
    func check() throws(SQLiteLogError) {
        guard !bytes.isEmpty else { throw .damaged(path, "it is empty") }
        guard bytes.starts(with: Self.magic) else {
            throw SQLiteLogError(.foreign, "\(path) is not a log of Martlet. Give it another file.")
        }
        guard bytes.count == Self.size else { throw .damaged(path, "it ends within its header") }
        guard number(at: Self.applicationPlace) == LogFile.applicationID else {
            throw SQLiteLogError(.foreign, "\(path) is a database, but not a log of Martlet. Give it another file.")
        }
        guard number(at: Self.versionPlace) <= LogFile.version else {
            throw SQLiteLogError(.newer, "The log \(path) was written by a newer version of Martlet. Use that one.")
        }
    }

    private func number(at place: Int) -> Int32 {
        Int32(bitPattern: bytes[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) })
    }
}

// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet

/// Why the file of a log cannot be used.
///
/// Match on ``code``; there may be more codes in the future. ``message`` names the file and says what to do.
public struct SQLiteLogError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// Another process has the file.
        public static let inUse = Code(description: "inUse")
        /// The file does not contain what was written. It was left as it is.
        public static let damaged = Code(description: "damaged")
        /// The file is not a log. It was left as it is.
        public static let foreign = Code(description: "foreign")
        /// The file was written by a newer version of Martlet. It was left as it is.
        public static let newer = Code(description: "newer")
        /// The file cannot be read or written: permissions are missing, or the disk is full or broken.
        public static let unavailable = Code(description: "unavailable")
    }

    public let code: Code
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }

    static func newer(_ path: String) -> SQLiteLogError {
        SQLiteLogError(.newer, "The log \(path) was written by a newer version of Martlet. Use that one.")
    }

    static func damaged(_ path: String, _ reason: String) -> SQLiteLogError {
        let advice = "Restore it from a copy, or move it away together with \(path)-wal to begin without history."
        return SQLiteLogError(.damaged, "The log \(path) is damaged: \(reason). \(advice)")
    }
}

/// What happened to the files of an open log. The log accepts no more events until it is opened again, because events
/// that it accepted might not survive.
enum FileFault: Error, CustomStringConvertible {
    /// A part of the file does not contain what was written. The rest can still be read.
    case damaged(String)
    /// A file was removed or replaced. It can be read while it is open.
    case gone(String)

    /// For the operator.
    var description: String {
        switch self {
        case .damaged(let reason), .gone(let reason): reason
        }
    }

    /// The error for publishers, without file names.
    ///
    /// - Parameter mayHaveAccepted: Whether the events may have been published.
    func error(mayHaveAccepted: Bool = false) -> MartletError {
        let reason =
            switch self {
            case .damaged: "The log is damaged. Restore its file from a copy, and restart the hub."
            case .gone:
                "The file of the log was removed or replaced. Put the right one in its place, and restart the hub."
            }
        let outcome = mayHaveAccepted ? "It is not known whether this was published." : "Nothing was published."
        return MartletError(.storageFailed, "\(reason) \(outcome)")
    }
}

extension Error {
    /// Whether the file does not contain what was written, or cannot be read.
    var isDamage: Bool {
        if self is DamageError { return true }
        let codes: [ResultCode] = [.SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_IOERR]
        return (self as? DatabaseError).map { codes.contains($0.resultCode) } ?? false
    }

    /// The offset of the event that is missing or has changed, if it is known.
    var damagedEvent: UInt64? {
        guard case .event(let offset)? = self as? DamageError else { return nil }
        return offset
    }
}

/// The file does not contain what was written.
enum DamageError: Error, CustomStringConvertible {
    case event(UInt64)
    case table(String)

    var description: String {
        switch self {
        case .event(let offset): "its event \(offset) is missing or has changed"
        case .table(let reason): reason
        }
    }
}

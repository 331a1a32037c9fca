// SPDX-License-Identifier: Apache-2.0

/// Why the file of a log cannot be used.
///
/// Match on ``code``; the codes may grow. ``message`` names the file and says what to do.
public struct SQLiteLogError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// Another process has the file.
        public static let inUse = Code(description: "inUse")
        /// The file is not what was written. It was left as it is.
        public static let damaged = Code(description: "damaged")
        /// The file is something else than a log. It was left as it is.
        public static let foreign = Code(description: "foreign")
        /// The file was written by a newer version of Martlet. It was left as it is.
        public static let newer = Code(description: "newer")
        /// The file cannot be read or written: it may not be, or the disk is full or broken.
        public static let unavailable = Code(description: "unavailable")
    }

    public let code: Code
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }

    static func damaged(_ path: String, _ what: String) -> SQLiteLogError {
        let advice = "Restore it from a copy, or move it away together with \(path)-wal to begin without history."
        return SQLiteLogError(.damaged, "The log \(path) is damaged: \(what). \(advice)")
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Why an event could not be written, or a stream not be read.
///
/// Neither the error nor its description holds any text of the event or the stream, so both are safe to log.
public struct EventStreamError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of an ``EventStreamError``. More may be added, so a `switch` over them needs a `default`.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Base: String, Sendable {
            case invalidCharacter
            case invalidRetry
            case lineTooLong
            case eventTooLarge
        }

        /// An event type or an id holds a NUL, CR or LF; ``EventStreamError/field`` says which of the two.
        public static let invalidCharacter = Code(.invalidCharacter)

        /// A reconnection time is negative.
        public static let invalidRetry = Code(.invalidRetry)

        /// A line of the stream is longer than ``EventStreamParser/Limits/maximumLineBytes``.
        public static let lineTooLong = Code(.lineTooLong)

        /// An event of the stream is larger than ``EventStreamParser/Limits/maximumEventBytes``.
        public static let eventTooLarge = Code(.eventTooLarge)

        private let base: Base

        private init(_ base: Base) {
            self.base = base
        }

        public var description: String { base.rawValue }
    }

    public let code: Code

    /// The name of the field concerned as it is on the wire, such as `id`, for the errors of the encoder.
    public let field: String?

    /// The limit that was exceeded, in bytes, for the errors of the parser.
    public let limit: Int?

    /// The code, what is wrong and what to do about it, in one line for a log.
    public let description: String

    private init(_ code: Code, field: String? = nil, limit: Int? = nil, _ message: String) {
        self.code = code
        self.field = field
        self.limit = limit
        self.description = "\(code): \(message)"
    }

    static func invalidCharacter(field: String) -> Self {
        Self(
            .invalidCharacter, field: field,
            "the \(field) field holds a NUL, CR or LF, which would break the stream; remove it or move the text to data"
        )
    }

    static var invalidRetry: Self {
        Self(
            .invalidRetry, field: "retry",
            "the reconnection time is negative; give milliseconds from 0, or nil to write none"
        )
    }

    static func lineTooLong(limit: Int) -> Self {
        Self(
            .lineTooLong, limit: limit,
            "a line is longer than \(limit) bytes; raise maximumLineBytes, or have the server send shorter lines"
        )
    }

    static func eventTooLarge(limit: Int) -> Self {
        Self(
            .eventTooLarge, limit: limit,
            "an event is larger than \(limit) bytes; raise maximumEventBytes, or have the server send smaller events"
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How far a reader of a log has come: everything up to here, nothing after.
///
/// The text is the id of the event on the wire: 1 to 128 bytes of ASCII without spaces, control characters and
/// `"():<>?@[\]{}`, for which a header needs no CORS preflight (Fetch standard, "CORS-unsafe request-header byte").
/// What it means is known to the log that made it and to nothing else: it may stand for an integer, for the id of a
/// stream entry, for a vector of offsets. Two positions are compared by asking ``Log/covers(_:_:)``.
public struct Position: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    public let text: String

    private static let mostBytes = 128
    private static let unsafeBytes = Set(#""():<>?@[\]{}"#.utf8)

    /// - Throws: ``MartletError`` if a position cannot have this text.
    public init(_ text: String) throws(MartletError) {
        guard Self.isValid(text) else { throw .invalidPosition }
        self.text = text
    }

    /// A position whose parts the log has checked or made.
    package init(checked text: String) {
        assert(Self.isValid(text), "\(text) is not a position")
        self.text = text
    }

    /// A position in the source of a program. Traps if the literal is not a position.
    public init(stringLiteral text: StaticString) {
        precondition(Self.isValid("\(text)"), "\"\(text)\" is not a position")
        self.text = "\(text)"
    }

    private static func isValid(_ text: String) -> Bool {
        (1...mostBytes).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && !unsafeBytes.contains($0) }
    }

    public var description: String { text }

    /// Before everything that is in history. Every log accepts it, and nothing is ever missing after it.
    public static let earliest: Position = "earliest"
}

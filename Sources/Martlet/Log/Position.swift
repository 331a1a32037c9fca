// SPDX-License-Identifier: Apache-2.0

/// How far a reader of a log has come: everything up to here, nothing after.
///
/// The text is the id of the event on the wire, at most 128 bytes of characters that no CORS preflight is needed for.
/// What it means is known to the log that made it and to nothing else: it may stand for an integer, for the id of a
/// stream entry, for a vector of offsets. Two positions are compared by asking ``Log/covers(_:_:)``.
public struct Position: Hashable, Sendable, CustomStringConvertible {
    public let text: String

    public init(_ text: String) { self.text = text }

    public var description: String { text }

    /// Before everything that is in history. Every log accepts it, and nothing is ever missing after it.
    public static let earliest = Position("earliest")
}

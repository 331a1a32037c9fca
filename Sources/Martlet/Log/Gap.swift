// SPDX-License-Identifier: Apache-2.0

/// A client cannot be given everything that it missed. It is told in its stream, by an event of the type `gap` with the
/// data `{"reason":"trimmed","from":"…"}`, so that it can fetch the present state anew.
public struct Gap: Hashable, Sendable {
    public enum Reason: String, CaseIterable, Hashable, Sendable {
        /// Events were removed from history, by its retention, that the client had not seen.
        case trimmed
        /// The id is of another life of the log, such as before a restart of a hub that keeps history in memory.
        case epoch
        /// The id was never given, or is one that a publisher chose and that is no longer in history.
        case unknown
        /// Events in history that the client had not seen cannot be read.
        case damaged
        /// The client saw events that the log lost.
        case rolledBack = "rolled-back"
    }

    public var reason: Reason
    /// The stream goes on with everything after this position.
    public var from: Position

    public init(reason: Reason, from: Position) {
        self.reason = reason
        self.from = from
    }

    /// The type of the event in the stream; publishers cannot use it.
    public static let eventType = "gap"

    /// The data of the event in the stream. Neither text can hold a character that JSON escapes.
    public var json: String { #"{"reason":"\#(reason.rawValue)","from":"\#(from.text)"}"# }
}

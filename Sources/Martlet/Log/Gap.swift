// SPDX-License-Identifier: Apache-2.0

/// A client missed events that it cannot get. Its stream then has an event of the type `gap` with the data
/// `{"reason":"trimmed","from":"…"}`, so that the client can fetch the current state again.
public struct Gap: Hashable, Sendable {
    public enum Reason: String, CaseIterable, Hashable, Sendable {
        /// Retention removed events that the client had not seen.
        case trimmed
        /// The id is of another life of the log, such as before a restart of a hub that keeps history in memory.
        case epoch
        /// The hub never sent the id, or a publisher chose it and its event is no longer in history.
        case unknown
        /// Events in history that the client had not seen cannot be read.
        case damaged
        /// The id says where the client was in one part of the log, and it subscribes to topics of several parts.
        case ambiguous
        /// A topic of the client has expired, or was purged before.
        case expired
        /// The history of a topic was purged while the client was subscribed.
        case purged
        /// The client was too slow, and its topics are of those that such clients do not read again.
        case skipped
        /// The client saw events that the log lost.
        case rolledBack = "rolled-back"
    }

    public var reason: Reason
    /// The stream continues with everything after this position.
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

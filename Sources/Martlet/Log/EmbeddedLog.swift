// SPDX-License-Identifier: Apache-2.0

/// A log in this process in which a log on a server can keep what this node has received, because the server does not
/// keep it.
///
/// Offsets count events, from 1 on over the whole life of the log; they never repeat. Nothing but the other log appends
/// events.
public protocol EmbeddedLog: Log {
    /// The offsets of the events in history. Empty behind the last offset if there is no event, and if the log is not
    /// open.
    var offsets: Range<UInt64> { get }

    /// The position behind the event at an offset; behind nothing for 0.
    func position(at offset: UInt64) -> Position

    /// The offset of a position; `nil` if it is not of this log, or of an event that was lost.
    func offset(of position: Position) -> UInt64?

    /// Whether there is room for more events, because the hub follows closely enough.
    var hasRoom: Bool { get }

    /// Makes room before anything follows: ``Log/tail(after:limit:)`` then reads from history what it has not read.
    func makeRoom()

    /// Accepts publishes, in this order, each all or none, without waiting for room. Once one has failed, those behind it
    /// fail, too. No other publish may have had one of the keys. The other log has accepted them, so they are not refused
    /// where a topic has ended or its writer was replaced.
    ///
    /// - Parameter answered: Called for each publish, in this order, with its number and the offset of its first event.
    ///   Must not block.
    func append(
        inOrder publishes: [(events: [Event], key: String)],
        answered: @escaping @Sendable (_ number: Int, _ first: Result<UInt64, any Error>) -> Void)

    /// Calls a closure with the publishes in history, in their order: the offset of the first event, how many events
    /// there are, and the key.
    func forEachPublish(_ body: @escaping @Sendable (_ first: UInt64, _ count: Int, _ key: String) -> Void) async throws
}

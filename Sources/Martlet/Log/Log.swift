// SPDX-License-Identifier: Apache-2.0

/// The ordered history of events: what makes an event published, and where everybody resumes from.
///
/// A log gives every event a ``Position`` and keeps events for as long as its retention says. It may live in this
/// process or be shared by many nodes. The contract, which `MartletTesting` checks with the same suite for every log:
///
/// - **Order.** All readers see the events of one topic in the same order. What a reader has read together with the
///   position where it stands is enough to go on anywhere else without a gap and without a duplicate.
/// - **Atomic.** The events of one ``append(_:)`` are accepted all or not at all.
/// - **Honest.** A log that lost something that a reader selected says so (``Slice/gap``, ``Resolution/gap``), and does
///   not say so otherwise, as far as it can remember.
///
/// All methods may be called from anywhere, at the same time.
public protocol Log: Sendable {
    /// Makes the log ready, where it is not. Returns the end: the position behind the last event that was accepted.
    func open() async throws -> Position

    /// Gives back what ``open()`` took. What was accepted is safe without it. Nothing else is called afterwards.
    func close() async

    /// Accepts events, in this order, and returns once they are as safe as this log makes them.
    ///
    /// - Parameter key: Where events were accepted with the same key, and the first of them is still in history, nothing
    ///   is accepted: they are what was to be published, and the answer to them is given again. `nil`: these are new.
    /// - Returns: one position for each event, which ``resolve(_:for:)`` understands on every node.
    /// - Throws: ``MartletError`` of the code `keyReused` where the key was given with other events. Whatever is thrown,
    ///   it may be tried again with the same key.
    func append(_ events: [Event], once key: String?) async throws -> [Position]

    /// Reads what is selected after one position and up to another, a slice at a time.
    ///
    /// - Parameters:
    ///   - selection: What to read; `nil` for everything.
    ///   - after: Where the reader stands.
    ///   - through: Where to stop; it must have been handed out by this log, and cover `after`.
    ///   - limit: The size of the slice. One event is returned even when it alone is larger.
    func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice

    /// Reads everything after a position as soon as there is anything, in the order in which this node hands it on.
    ///
    /// Suspends until there is. Throws `CancellationError` when the task is cancelled meanwhile.
    func tail(after: Position, limit: SliceLimit) async throws -> Slice

    /// Finds where a client stands that saw this id last.
    ///
    /// - Parameter id: What the client says, so anything: a position, an id that a publisher chose, `earliest`, rubbish.
    /// - Returns: For an id that a publisher chose, the place behind the earliest event with it that is in history and
    ///   selected; a gap where an earlier one was removed. Whether other events have an id is nobody's business.
    func resolve(_ id: String, for selection: Selection) async throws -> Resolution

    /// Finds where a client stands that wants what was accepted lately.
    ///
    /// - Parameter age: How long ago the oldest event was accepted that the client wants, as the clock of the log says.
    /// - Returns: A position with everything after it that is not older; what is older may be there too, where a log knows
    ///   times less exactly. A gap where something selected was removed that may not be older.
    func resolve(since age: Duration, for selection: Selection) async throws -> Resolution

    /// Whether a reader that stands at `a` has everything that a reader at `b` has. Both are positions of this log.
    ///
    /// It is asked with a lock held: it looks at the two positions and calls nothing.
    func covers(_ a: Position, _ b: Position) -> Bool

    /// Why the log accepts nothing until it is opened again, and what to do. `nil` if it works, or may recover.
    /// Publishing throws this error, and a hub with such a log is not ready.
    var fault: MartletError? { get }
}

extension Log {
    public func close() async {}

    public var fault: MartletError? { nil }

    /// Accepts events, in this order, and returns once they are as safe as this log makes them.
    public func append(_ events: [Event]) async throws -> [Position] { try await append(events, once: nil) }
}

/// How much of a log is read at once.
public struct SliceLimit: Hashable, Sendable {
    public var events: Int
    public var bytes: Int

    public init(events: Int = 256, bytes: Int = 256 * 1024) {
        self.events = events
        self.bytes = bytes
    }

    /// Whether an event of so many bytes goes into a slice that has some already. The first always does.
    package func admits(_ byteCount: Int, behind count: Int, of bytes: Int) -> Bool {
        count == 0 || (count < events && bytes + byteCount <= self.bytes)
    }
}

/// An event together with where a reader stands that has followed the log up to it.
public struct Record: Hashable, Sendable {
    public var position: Position
    public var event: Event

    public init(position: Position, event: Event) {
        self.position = position
        self.event = event
    }

    /// The id of the event on the wire: the publisher's, else the position.
    public var id: String { event.id ?? position.text }
}

/// Some of the log, in its order.
public struct Slice: Hashable, Sendable {
    public var records: [Record]
    /// Where the reader stands now; may be further than the last record.
    public var end: Position
    /// Whether there is nothing more to read up to where the reader wanted to go.
    public var isComplete: Bool
    /// Not `nil`: something selected between where the reader stood and this position is no longer in history.
    public var gap: Position?
    /// Why that is so, where there is a gap.
    public var gapReason: Gap.Reason

    public init(
        records: [Record], end: Position, isComplete: Bool, gap: Position? = nil, gapReason: Gap.Reason = .trimmed
    ) {
        self.records = records
        self.end = end
        self.isComplete = isComplete
        self.gap = gap
        self.gapReason = gapReason
    }
}

/// Where a client goes on.
public struct Resolution: Hashable, Sendable {
    public var position: Position
    /// Not `nil`: the client may have missed something before this position, for this reason.
    public var gap: Gap.Reason?

    public init(position: Position, gap: Gap.Reason? = nil) {
        self.position = position
        self.gap = gap
    }
}

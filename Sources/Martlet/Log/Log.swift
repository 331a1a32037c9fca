// SPDX-License-Identifier: Apache-2.0

/// The ordered history of events: an event is published once its log has accepted it, and clients resume from it.
///
/// A log gives every event a ``Position`` and keeps events as its ``Retention`` says. It lives in this process, or is a
/// ``SharedLog`` that several nodes use. The contract, which `LogContract` of `MartletTesting` checks for every log:
///
/// - **Order.** All readers see the events of one topic in the same order. A reader that has a position can continue
///   from it with any reader or node, without a gap and without a duplicate.
/// - **Atomic.** The events of one ``append(_:once:)`` are accepted all or none.
/// - **Final.** Once an event has ended a topic (``Event/endsTopic``), no event of the topic is accepted: see
///   ``TopicBook/check(_:now:)``. Ending it again is answered with where it has ended. Likewise for replaced writers. A
///   log on which nodes cannot agree on this at once leaves it to the hub, which knows what it has read of the log.
/// - **Honest.** A log that lost an event that a reader selects says so (``Slice/gap``, ``Resolution/gap``), and as far
///   as it can remember, it does not say so otherwise.
///
/// All methods may be called from anywhere, at the same time. ``SliceBuilder``, ``TailBuffer``, ``Epoch`` and
/// ``TrimmedTopics`` help to implement them.
public protocol Log: Sendable {
    /// Makes the log ready unless it is. Returns its end: the position behind the last accepted event.
    func open() async throws -> Position

    /// Releases what ``open()`` acquired. Accepted events are safe without it. No other method is called afterwards.
    func close() async

    /// Accepts events, in this order, and returns once they are as safe as this log makes them.
    ///
    /// - Parameter key: If events were accepted with the same key, and the first of them is still in history, nothing
    ///   is accepted and their positions are returned. `nil`: the events are new.
    /// - Returns: One position for each event, which ``resolve(_:for:)`` understands on every node.
    /// - Throws: ``MartletError`` of the code `keyReused` if the key was used with other events. After any other error,
    ///   the caller may try again with the same key.
    func append(_ events: [Event], once key: String?) async throws -> [Position]

    /// Reads the selected events after one position and up to another, one slice at a time.
    ///
    /// - Parameters:
    ///   - selection: What to read; `nil` for everything.
    ///   - after: The position of the reader.
    ///   - through: Where to stop: a position of this log that covers `after`.
    ///   - limit: The size of the slice. A slice may contain a single event that is larger.
    func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice

    /// Reads all events after a position as soon as there are any, in the order in which this node delivers them.
    ///
    /// Suspends until then. Throws `CancellationError` if the task is cancelled meanwhile.
    func tail(after: Position, limit: SliceLimit) async throws -> Slice

    /// Finds the position of a client that saw this id last.
    ///
    /// - Parameter id: Any text: a client sends it. It may be a position, an id that a publisher chose, or `earliest`.
    /// - Returns: For an id that a publisher chose, the position behind the earliest event with it that is in history
    ///   and selected; a gap if an earlier one was removed. The answer must not depend on events that are not selected.
    func resolve(_ id: String, for selection: Selection) async throws -> Resolution

    /// Finds the position of a client that wants the events of a certain age.
    ///
    /// - Parameter age: The age of the oldest event that the client wants, by the clock of the log.
    /// - Returns: A position in front of all events that are not older. Older events may follow it too, if the log
    ///   knows times less exactly. A gap if a selected event was removed that may not be older.
    func resolve(since age: Duration, for selection: Selection) async throws -> Resolution

    /// Whether a reader at `a` has everything that a reader at `b` has. Both are positions of this log.
    ///
    /// The caller holds a lock, so this must neither block nor call the hub.
    func covers(_ a: Position, _ b: Position) -> Bool

    /// What outlives history: which topics have ended, who writes to them, and the newest event of each key.
    ///
    /// A hub asks for it once, when the log is open, and from then on takes note of what it reads itself.
    ///
    /// - Parameter end: What ``open()`` has returned. The answer is as of this position, or of a later one.
    func present(through end: Position) async throws -> Present

    /// Why the log accepts no events until it is opened again, and what to do; `nil` if it works, or may recover.
    /// Publishing throws this error, and a hub with such a log is not ready.
    var fault: MartletError? { get }
}

extension Log {
    public func close() async {}

    public var fault: MartletError? { nil }

    /// What history says. A log that removes events from history has to keep it elsewhere.
    public func present(through end: Position) async throws -> Present {
        var present = Present()
        var (place, isComplete) = (Position.earliest, false)
        while !isComplete {
            let slice = try await read(nil, after: place, through: end, limit: SliceLimit())
            for record in slice.records { present.note(record) }
            (place, isComplete) = (slice.end, slice.isComplete)
        }
        return present
    }

    /// Accepts events, in this order, and returns once they are as safe as this log makes them.
    public func append(_ events: [Event]) async throws -> [Position] { try await append(events, once: nil) }
}

/// What a log knows besides its events.
public struct Present: Sendable {
    /// The topics that have ended, expire, or have a writer.
    public var topics: TopicBook
    /// The newest event of each topic and key, in the order of the log.
    public var values: [Record] { current.compactMap(\.value) }

    private var order: [(name: EventKey, value: Record?)] = []
    private var places: [EventKey: Int] = [:]
    /// The values of these topics in front of these places are gone.
    private var removed: [Topic: Int] = [:]

    private var current: [(name: EventKey, value: Record?)] {
        order.enumerated().filter { place, item in item.value != nil && place >= removed[item.name.topic] ?? 0 }
            .map(\.element)
    }

    public init(topics: TopicBook = TopicBook(), values: [Record] = []) {
        self.topics = topics
        for value in values { noteValue(value) }
    }

    /// Takes note of an event, in the order of the log.
    public mutating func note(_ record: Record) {
        switch topics.fold(record.event, at: record.position, now: record.time ?? .now) {
        case .purged, .renewed: removed[record.event.topic] = order.count
        case .none, .ended: break
        }
        noteValue(record)
    }

    private mutating func noteValue(_ record: Record) {
        guard let name = EventKey(record.event) else { return }
        if let place = places[name] { order[place].value = nil }
        guard !record.event.data.isEmpty else {
            places[name] = nil
            return
        }
        places[name] = order.count
        order.append((name, record))
        if order.count > 2 * places.count + 16 {
            order = current
            removed = [:]
            places = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1.name, $0) })
        }
    }
}

/// A log in this process that never has to wait, except for room.
package protocol ImmediateLog: Log {
    /// Accepts events as ``Log/append(_:once:)`` does, and does not wake the tail; `nil` if there is no room.
    func appendNow(_ events: [Event], once key: String?) throws -> [Position]?

    /// Wakes the tail if there is something for it.
    func announceAppended()

    /// The position behind the last accepted event.
    var endNow: Position { get }

    /// Whether so little is between two positions that reading it takes hardly longer than to have it read.
    func isNear(_ position: Position, to other: Position) -> Bool

    func readNow(_ selection: Selection, after: Position, through: Position, limit: SliceLimit) throws -> Slice

    func resolveNow(_ id: String, for selection: Selection) -> Resolution

    func resolveNow(since age: Duration, for selection: Selection) -> Resolution
}

/// How much history a log keeps. The oldest events are removed as soon as one of the bounds is exceeded.
public struct Retention: Hashable, Sendable {
    /// The most events.
    public var events: Int
    /// The most bytes, counted as ``Event/byteCount``.
    public var bytes: Int
    /// The greatest age.
    public var age: Duration

    public init(events: Int = 100_000, bytes: Int = 64 * 1024 * 1024, age: Duration = .seconds(24 * 60 * 60)) {
        self.events = events
        self.bytes = bytes
        self.age = age
    }
}

/// The most that is read from a log at once.
public struct SliceLimit: Hashable, Sendable {
    public var events: Int
    /// Counted as ``Event/byteCount``.
    public var bytes: Int

    public init(events: Int = 256, bytes: Int = 256 * 1024) {
        self.events = events
        self.bytes = bytes
    }

    /// Whether an event of so many bytes fits behind `count` events of `bytes` bytes. The first event always does.
    package func admits(_ byteCount: Int, behind count: Int, of bytes: Int) -> Bool {
        count == 0 || (count < events && bytes + byteCount <= self.bytes)
    }
}

/// An event, and the position of a reader that has followed the log up to it. Records are equal if both of these are.
public struct Record: Hashable, Sendable {
    public var position: Position
    public var event: Event
    /// When the event was accepted, if the log knows. It decides whether the event still belongs to a topic that expires.
    public var time: WallTime?

    public init(position: Position, event: Event, time: WallTime? = nil) {
        self.position = position
        self.event = event
        self.time = time
    }

    public static func == (a: Self, b: Self) -> Bool { a.position == b.position && a.event == b.event }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(position)
        hasher.combine(event)
    }

    /// The id of the event on the wire: the publisher's, otherwise the position.
    public var id: String { event.id ?? position.text }
}

/// A part of the log, in its order.
public struct Slice: Hashable, Sendable {
    public var records: [Record]
    /// The new position of the reader; may be further than the last record.
    public var end: Position
    /// Whether nothing is left to read up to where the reader wanted to go.
    public var isComplete: Bool
    /// Not `nil`: a selected event between the reader and this position is no longer in history.
    public var gap: Position?
    /// The reason for the gap, if there is one.
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

/// Where a client continues.
public struct Resolution: Hashable, Sendable {
    public var position: Position
    /// Not `nil`: the client may have missed events in front of this position, for this reason.
    public var gap: Gap.Reason?

    public init(position: Position, gap: Gap.Reason? = nil) {
        self.position = position
        self.gap = gap
    }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The embedded log that keeps history in memory: nothing to set up, and nothing survives the process.
///
/// An event is accepted as soon as it is in memory. Each instance is a new ``Epoch``, so a client that resumes after a
/// restart gets the gap ``Gap/Reason/epoch``. Once the log is open, events that the hub has not read yet are not
/// removed; if there are too many of them, publishers wait.
///
/// All methods may be called from anywhere, at the same time.
public final class MemoryLog<C: Clock>: ImmediateLog, MeasuredLog where C.Duration == Duration {
    private struct State {
        var history: MemoryHistory<C.Instant>
        /// The offset up to which the tail was read; `nil` if the log was not opened.
        var tailed: UInt64?
        /// The bytes of the events that the tail was not read to.
        var backlogBytes = 0
        var topics: TopicBook
    }

    private let clock: C
    private let epoch: Epoch
    private let retention: Retention
    private let gate: PublishGate<C>
    private let state: Mutex<State>
    private let appended = Signal()
    private let tailed = Signal()

    /// - Parameters:
    ///   - retention: How much history to keep.
    ///   - rules: How much to keep of single topics.
    ///   - clock: Measures the age of events, and how long publishers wait.
    ///   - queue: When publishers wait, and for how long.
    ///   - trimmedTopics: The most topics to remember after all their events were removed; at least 2.
    ///   - topics: The most topics to remember that have ended, expire, or have a writer.
    public init(
        retention: Retention = Retention(), rules: RetentionRules = [], clock: C, queue: PublishQueue = PublishQueue(),
        trimmedTopics: Int = 65_536, topics: Int = TopicBook.defaultCapacity
    ) {
        self.clock = clock
        self.retention = retention
        self.gate = PublishGate(queue, clock: clock)
        self.epoch = Epoch()
        self.state = Mutex(
            State(
                history: MemoryHistory(rules: rules, trimmedTopics: trimmedTopics),
                topics: TopicBook(capacity: topics)))
    }

    /// Returns the end of the log. The log works without it, but then holds no publishers back. Never throws.
    public func open() async throws -> Position {
        let last = state.withLock { state in
            state.tailed = state.history.last
            state.backlogBytes = 0
            return state.history.last
        }
        return epoch.position(last)
    }

    /// - Throws: ``MartletError``: `invalidID` if the id of an event has the form of a position of this log,
    ///   `keyReused` if the key was used with other events, `overloaded` if the hub stays behind for too long.
    public func append(_ events: [Event], once key: String?) async throws -> [Position] {
        try check(events)
        let offsets = try await gate.enter(tailed) { try self.tryAppend(events, once: key) }
        appended.fire()
        return offsets.map(epoch.position)
    }

    @_specialize(where C == ContinuousClock)
    package func appendNow(_ events: [Event], once key: String?) throws -> [Position]? {
        try check(events)
        return try tryAppend(events, once: key)?.map(epoch.position)
    }

    package func announceAppended() { appended.fire() }

    private func check(_ events: [Event]) throws(MartletError) {
        for event in events {
            if let id = event.id, epoch.offset(of: id) != nil { throw .reservedID }
        }
    }

    @_specialize(where C == ContinuousClock)
    private func tryAppend(_ events: [Event], once key: String?) throws -> Range<UInt64>? {
        try state.withLock { state in
            // Within the lock, so that no event is older than one before it.
            let now = clock.now
            if let range = try state.history.accepted(events, once: key) { return range }
            if let end = state.topics.repeatedEnd(events).flatMap({ epoch.offset(of: $0.text) }) {
                return end..<end + 1
            }
            try state.topics.check(events)
            if state.tailed != nil, state.backlogBytes >= gate.queue.backlogBytes { return nil }
            let before = state.history.byteCount
            let range = state.history.append(events, once: key, at: now)
            for (offset, event) in zip(range, events) where state.topics.concerns(event) {
                state.topics.note(event, at: epoch.position(offset))
            }
            if state.tailed != nil { state.backlogBytes += state.history.byteCount - before }
            trim(&state, now: now)
            return range
        }
    }

    public func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        try readSlice(selection, after: after, through: through, limit: limit)
    }

    package func readNow(
        _ selection: Selection, after: Position, through: Position, limit: SliceLimit
    ) throws -> Slice {
        try readSlice(selection, after: after, through: through, limit: limit)
    }

    @_specialize(where C == ContinuousClock)
    private func readSlice(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) throws -> Slice {
        let after = try offset(after)
        let through = try offset(through) ?? 0
        let now = clock.now
        return state.withLock { state in
            trim(&state, now: now)
            return state.history.read(selection, after: after, through: through, limit: limit, in: epoch)
        }
    }

    package func isNear(_ position: Position, to other: Position) -> Bool {
        guard let start = epoch.offset(of: position.text), let end = epoch.offset(of: other.text) else { return false }
        return start <= end && end - start <= Self.mostNear
    }

    /// How many events are few.
    private static var mostNear: UInt64 { 64 }

    public func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        let after = try offset(after)
        return try await appended.wait {
            let slice = takeSlice(after: after, limit: limit)
            tailed.fire()
            return slice.records.isEmpty && slice.gap == nil ? nil : slice
        }
    }

    @_specialize(where C == ContinuousClock)
    private func takeSlice(after: UInt64?, limit: SliceLimit) -> Slice {
        state.withLock { state in
            let last = state.history.last
            let slice = state.history.read(nil, after: after, through: last, limit: limit, in: epoch)
            state.tailed = epoch.offset(of: slice.end.text)
            let read = slice.records.reduce(0) { $0 + $1.event.byteCount }
            state.backlogBytes = slice.isComplete ? 0 : max(0, state.backlogBytes - read)
            return slice
        }
    }

    public func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        resolveNow(id, for: selection)
    }

    package func resolveNow(_ id: String, for selection: Selection) -> Resolution {
        let now = clock.now
        return state.withLock { state in
            trim(&state, now: now)
            return state.history.resolve(id, for: selection, in: epoch)
        }
    }

    public func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        resolveNow(since: age, for: selection)
    }

    package func resolveNow(since age: Duration, for selection: Selection) -> Resolution {
        let now = clock.now
        return state.withLock { state in
            trim(&state, now: now)
            return state.history.resolve(since: now.advanced(by: .zero - age), for: selection, in: epoch)
        }
    }

    package var endNow: Position { epoch.position(state.withLock { $0.history.last }) }

    public func covers(_ a: Position, _ b: Position) -> Bool {
        guard b != .earliest else { return true }
        guard a != .earliest, let a = epoch.offset(of: a.text), let b = epoch.offset(of: b.text) else { return false }
        return a >= b
    }

    /// The size of history, in events and in bytes as retention counts them.
    public var size: (events: Int, bytes: Int) {
        state.withLock { ($0.history.count, $0.history.byteCount) }
    }

    private func trim(_ state: inout State, now: C.Instant) {
        state.history.trim(to: retention, through: state.tailed ?? state.history.last) { $0.duration(to: now) }
    }

    /// The offset of a position of this log; `nil` for the earliest.
    private func offset(_ position: Position) throws(MartletError) -> UInt64? {
        if position == .earliest { return nil }
        guard let offset = epoch.offset(of: position.text) else { throw .foreignPosition }
        return offset
    }
}

extension MemoryLog where C == ContinuousClock {
    /// A log that measures time with the continuous clock of the machine.
    ///
    /// - Parameters:
    ///   - retention: How much history to keep.
    ///   - rules: How much to keep of single topics.
    ///   - queue: When publishers wait, and for how long.
    ///   - trimmedTopics: The most topics to remember after all their events were removed; at least 2.
    ///   - topics: The most topics to remember that have ended, expire, or have a writer.
    public convenience init(
        retention: Retention = Retention(), rules: RetentionRules = [], queue: PublishQueue = PublishQueue(),
        trimmedTopics: Int = 65_536, topics: Int = TopicBook.defaultCapacity
    ) {
        self.init(
            retention: retention, rules: rules, clock: ContinuousClock(), queue: queue, trimmedTopics: trimmedTopics,
            topics: topics)
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MartletSupport
import Synchronization

/// The newest events of a log, from when the log has them until ``Log/tail(after:limit:)`` returns them: so that live
/// events are not read from a file or a server twice.
///
/// A reader that tails from further back gets history up to the buffer first. All methods may be called from anywhere,
/// but events are appended by one thread at a time.
public final class TailBuffer: Sendable {
    private enum Item {
        case record(Record)
        case gap(Position, Gap.Reason)
        /// The log has no event up to here.
        case nothing(Position)

        var position: Position {
            switch self {
            case .record(let record): record.position
            case .gap(let position, _), .nothing(let position): position
            }
        }

        var byteCount: Int {
            if case .record(let record) = self { record.event.byteCount } else { 0 }
        }
    }

    private struct State {
        /// The position in front of the first item.
        var start: Position?
        var items: Deque<Item> = []
        var byteCount = 0
        /// The items that come next may be in front of ``start``.
        var mayRepeat = false
        var isClosed = false
    }

    private enum Found {
        case slice(Slice)
        case history(through: Position)
        case closed
    }

    private let capacity: Int
    private let covers: @Sendable (Position, Position) -> Bool
    private let state = Mutex(State())
    private let grown = Signal()
    private let room = BinarySemaphore()

    /// - Parameters:
    ///   - capacity: The bytes of events from which on there is no room. Appending still succeeds.
    ///   - covers: ``Log/covers(_:_:)``.
    public init(capacity: Int = .max, covers: @escaping @Sendable (Position, Position) -> Bool) {
        self.capacity = capacity
        self.covers = covers
    }

    // MARK: The log

    /// Sets the position behind which events are appended. Call it once, before anything else.
    public func begin(at position: Position) { state.withLock { $0.start = position } }

    /// Blocks the thread until there is room or the buffer is closed, but no longer than `time`. Returns whether there
    /// is room.
    public func waitForRoom(atMost time: Duration) -> Bool {
        if hasRoom { return true }
        room.wait(atMost: time)
        return hasRoom
    }

    private var hasRoom: Bool { state.withLock { $0.byteCount < capacity } }

    /// The bytes of the events in the buffer, as retention counts them.
    public var byteCount: Int { state.withLock { $0.byteCount } }

    /// The position up to which the tail was read; `nil` before ``begin(at:)``.
    package var start: Position? { state.withLock { $0.start } }

    /// Appends what comes next in the log: after a gap, if there is one, some events, and the position up to which
    /// these are all events.
    public func append(gap: (position: Position, reason: Gap.Reason)? = nil, _ records: [Record], end: Position) {
        state.withLock { state in
            var items: [Item] = gap.map { [.gap($0.position, $0.reason)] } ?? []
            items += records.map(Item.record)
            if items.last?.position != end { items.append(.nothing(end)) }
            for item in items {
                if state.mayRepeat, let start = state.start {
                    if covers(start, item.position) { continue }
                    state.mayRepeat = false
                }
                state.items.append(item)
                state.byteCount += item.byteCount
            }
        }
        grown.fire()
    }

    /// Forgets what it holds. Readers get it from history.
    public func clear() {
        state.withLock { state in
            guard let last = state.items.last else { return }
            state.start = last.position
            state.items = []
            state.byteCount = 0
        }
        grown.fire()
    }

    /// Ends all calls that wait, and all that follow: `tail` throws `notRunning`.
    public func close() {
        state.withLock { $0.isClosed = true }
        grown.fire()
        room.signal()
    }

    // MARK: The readers

    /// What ``Log/tail(after:limit:)`` returns.
    ///
    /// - Parameter history: Reads everything after one position and through another, as
    ///   ``Log/read(_:after:through:limit:)`` does.
    /// - Throws: `CancellationError`, the error of the closure, or ``MartletError`` of the code `notRunning`.
    public func tail(
        after place: Position, limit: SliceLimit, history: (Position, Position) async throws -> Slice
    ) async throws -> Slice {
        var place = place
        while true {
            switch try await grown.wait(until: { find(after: place, limit: limit) }) {
            case .closed: throw MartletError.logNotOpen
            case .slice(let slice):
                room.signal()
                return slice
            case .history(let through):
                let slice = try await history(place, through)
                if !slice.records.isEmpty || slice.gap != nil { return slice }
                place = slice.end
            }
        }
    }

    private func find(after place: Position, limit: SliceLimit) -> Found? {
        state.withLock { state in
            if state.isClosed { return .closed }
            guard let start = state.start else { return nil }
            if place != start {
                guard covers(place, start) else { return .history(through: start) }
                // The reader has some of the items, or is ahead of all.
                while let item = state.items.first, covers(place, item.position) { removeFirst(of: &state) }
                state.start = place
                state.mayRepeat = state.items.isEmpty
            }
            while case .nothing(let position) = state.items.first {
                removeFirst(of: &state)
                if state.items.isEmpty { return position == place ? nil : .history(through: position) }
            }
            return take(limit, from: &state).map(Found.slice)
        }
    }

    private func take(_ limit: SliceLimit, from state: inout State) -> Slice? {
        guard let start = state.start else { return nil }
        var builder = SliceBuilder(limit: limit, end: start)
        loop: while let item = state.items.first {
            switch item {
            case .gap(let position, let reason):
                guard builder.slice.records.isEmpty, builder.slice.gap == nil else { break loop }
                builder.slice.gap = position
                builder.slice.gapReason = reason
            case .nothing:
                break
            case .record(let record):
                guard builder.append(record.event, at: record.position) else { break loop }
            }
            builder.slice.end = item.position
            removeFirst(of: &state)
        }
        builder.slice.isComplete = state.items.isEmpty
        return builder.slice.records.isEmpty && builder.slice.gap == nil ? nil : builder.slice
    }

    private func removeFirst(of state: inout State) {
        let item = state.items.removeFirst()
        state.byteCount -= item.byteCount
        state.start = item.position
    }
}

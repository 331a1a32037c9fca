// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Synchronization

/// What a thread has read of the end of a shared log and ``Log/tail(after:limit:)`` has not given yet.
///
/// Whoever tails from another place is given history up to here first, and goes on here then.
package final class TailBuffer: Sendable {
    private enum Item {
        case record(Record)
        case gap(Position, Gap.Reason)
        /// Nothing is here that is an event.
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
        /// Where a reader stands that is given what is here.
        var start: Position?
        var items: Deque<Item> = []
        var byteCount = 0
        /// What the thread reads next may be older than ``start``.
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
    private let room = Bell()

    /// - Parameters:
    ///   - capacity: The most bytes of events; a group that was begun is taken whole.
    ///   - covers: What ``Log/covers(_:_:)`` says.
    package init(capacity: Int, covers: @escaping @Sendable (Position, Position) -> Bool) {
        self.capacity = capacity
        self.covers = covers
    }

    // MARK: The thread that reads

    /// Says where the thread begins. Called once, before all else.
    package func begin(at position: Position) { state.withLock { $0.start = position } }

    /// Blocks the thread until there is room, or the buffer is closed, but not for longer than this. Returns whether there
    /// is room.
    package func waitForRoom(atMost time: Duration) -> Bool {
        if hasRoom { return true }
        room.wait(atMost: time)
        return hasRoom
    }

    private var hasRoom: Bool { state.withLock { $0.byteCount < capacity } }

    /// Adds what comes next in the log: after a gap, if there is one, some events, and the place up to which that is all.
    package func append(gap: (position: Position, reason: Gap.Reason)? = nil, _ records: [Record], end: Position) {
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

    /// Nothing comes any more. Who waits is told.
    package func close() {
        state.withLock { $0.isClosed = true }
        grown.fire()
        room.ring()
    }

    // MARK: Those who tail

    /// What ``Log/tail(after:limit:)`` returns.
    ///
    /// - Parameter history: Reads everything after one position and through another.
    package func tail(
        after place: Position, limit: SliceLimit, history: (Position, Position) async throws -> Slice
    ) async throws -> Slice {
        var place = place
        while true {
            switch try await grown.wait(until: { find(after: place, limit: limit) }) {
            case .closed: throw MartletError.logNotOpen
            case .slice(let slice):
                room.ring()
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
                // Further on than what is here.
                while let item = state.items.first, covers(place, item.position) { dropFirst(&state) }
                state.start = place
                state.mayRepeat = state.items.isEmpty
            }
            while case .nothing(let position) = state.items.first {
                dropFirst(&state)
                if state.items.isEmpty { return position == place ? nil : .history(through: position) }
            }
            return take(&state, limit).map(Found.slice)
        }
    }

    private func take(_ state: inout State, _ limit: SliceLimit) -> Slice? {
        guard let start = state.start else { return nil }
        var slice = Slice(records: [], end: start, isComplete: true)
        var bytes = 0
        loop: while let item = state.items.first {
            switch item {
            case .gap(let position, let reason):
                guard slice.records.isEmpty, slice.gap == nil else { break loop }
                slice.gap = position
                slice.gapReason = reason
            case .nothing:
                break
            case .record(let record):
                let size = record.event.byteCount
                guard limit.admits(size, behind: slice.records.count, of: bytes) else { break loop }
                bytes += size
                slice.records.append(record)
            }
            slice.end = item.position
            dropFirst(&state)
        }
        slice.isComplete = state.items.isEmpty
        return slice.records.isEmpty && slice.gap == nil ? nil : slice
    }

    private func dropFirst(_ state: inout State) {
        let item = state.items.removeFirst()
        state.byteCount -= item.byteCount
        state.start = item.position
    }
}

// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
public import Martlet
import MartletSupport
import Synchronization

extension ServiceBusLog {
    private var store: any EmbeddedLog { node.store }

    public func covers(_ a: Position, _ b: Position) -> Bool {
        if a == b || b == .earliest { return true }
        guard a != .earliest, let a = node.course(from: a), let b = node.course(from: b) else { return false }
        return a.covers(b)
    }

    // MARK: Reading

    public func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        var after = after
        while after != .earliest, let course = try? await course(from: after), !course.isStraight {
            let slice = try await read(nil, after: after, through: node.position(at: course.end), limit: limit)
            if !slice.records.isEmpty || slice.gap != nil { return slice }
            after = slice.end
        }
        let slice = try await store.tail(after: storePosition(after), limit: limit)
        // The store knows of its events a moment before the order does.
        let end = try offset(slice.end)
        try await node.stored.wait { [node] in node.order.withLock { $0.end > end } ? () : nil }
        return try translate(slice)
    }

    public func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        let through = through == .earliest ? 0 : try await course(from: through).end
        let throughPosition = store.position(at: through)
        guard after != .earliest else {
            let slice = try await store.read(selection, after: after, through: throughPosition, limit: limit)
            return try translate(slice)
        }
        let course = try await course(from: after)
        var start = course.start
        while true {
            var slice = try await store.read(
                selection, after: store.position(at: start), through: throughPosition, limit: limit)
            if course.isStraight { return try translate(slice) }
            slice.records = try slice.records.filter { course.lacks(try offset($0.position)) }
            start = try offset(slice.end)
            let isDone = slice.isComplete || start >= course.end
            if isDone || !slice.records.isEmpty || slice.gap != nil { return try translate(slice, on: course) }
        }
    }

    /// The slice of the store with the positions of this log.
    private func translate(_ slice: Slice, on course: Course? = nil) throws -> Slice {
        var slice = slice
        let offsets = try slice.records.map { try offset($0.position) }
        let end = slice.end == .earliest ? nil : try offset(slice.end)
        let gap = try slice.gap.map { try offset($0) }
        node.order.withLock { order in
            func position(_ offset: UInt64) -> Position {
                guard let course else { return node.position(at: offset, order) }
                return order.place(at: offset, on: course, local: store.position(at:)).position
            }
            for (index, offset) in offsets.enumerated() { slice.records[index].position = position(offset) }
            slice.gap = gap.map(position)
            if let end { slice.end = position(end) }
        }
        return slice
    }

    private func offset(_ position: Position) throws(MartletError) -> UInt64 {
        if position == .earliest { return 0 }
        guard let offset = store.offset(of: position) else { throw .foreignPosition }
        return offset
    }

    private func storePosition(_ position: Position) throws(MartletError) -> Position {
        if position == .earliest { return position }
        guard let course = node.course(from: position) else { throw .foreignPosition }
        return store.position(at: course.head)
    }

    /// Waits until this node has received what a position of another node names.
    private func course(from position: Position) async throws -> Course {
        guard let place = BusPlace(position.text) else { throw MartletError.foreignPosition }
        await waitUntilKnown(place)
        guard let course = node.course(from: position) else { throw MartletError.foreignPosition }
        return course
    }

    private func waitUntilKnown(_ place: BusPlace) async {
        guard node.order.withLock({ $0.lacks(place) }) else { return }
        try? await withTimeout(node.configuration.lookupPatience, throwing: MartletError.foreignPosition) { [node] in
            try await node.stored.wait { node.order.withLock { $0.lacks(place) } ? nil : () }
        }
        node.order.withLock { $0.stopWaiting(for: place) }
    }

    /// What outlives history, as this node has received it.
    public func present(through end: Position) async throws -> Present {
        let end = store.position(at: node.order.withLock { $0.end } - 1)
        let stored = try await store.present(through: end)
        let store = store
        return node.order.withLock { order in
            func translate(_ position: Position) -> Position {
                store.offset(of: position).map { node.position(at: $0, order) } ?? .earliest
            }
            var topics = stored.topics
            topics.translatePositions(translate)
            let values = stored.values.map { Record(position: translate($0.position), event: $0.event) }
            return Present(topics: topics, values: values)
        }
    }

    // MARK: Resuming

    public func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        if id.isExactly(Position.earliest.text) { return Resolution(position: .earliest) }
        guard let place = BusPlace(id) else { return try await resolve(publisherID: id, for: selection) }
        if !node.isPosition(id) {
            // A publisher may have chosen it.
            let resolution = try await store.resolve(id, for: selection)
            if resolution.gap != .unknown, resolution.gap != .epoch { return try translate(resolution) }
        }
        await waitUntilKnown(place)
        guard let course = node.course(from: place.position) else {
            if case .local(let position) = place.head {
                return try translate(try await store.resolve(position.text, for: selection))
            }
            return Resolution(position: start, gap: node.order.withLock { $0.isTrimmed(place) } ? .trimmed : .unknown)
        }
        let resolution = try await store.resolve(store.position(at: course.start).text, for: selection)
        if resolution.gap != nil { return try translate(resolution) }
        return Resolution(position: course.isStraight ? node.position(at: course.head) : place.position)
    }

    /// Another node may have received the event a moment before this one.
    private func resolve(publisherID id: String, for selection: Selection) async throws -> Resolution {
        let deadline = ContinuousClock.now + node.configuration.lookupPatience
        while true {
            let end = node.order.withLock { $0.end }
            let resolution = try await store.resolve(id, for: selection)
            guard resolution.gap == .unknown, .now < deadline else { return try translate(resolution) }
            try? await withTimeout(deadline - .now, throwing: MartletError.foreignPosition) { [node] in
                try await node.stored.wait { node.order.withLock { $0.end > end } ? () : nil }
            }
        }
    }

    public func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        try translate(try await store.resolve(since: age, for: selection))
    }

    /// All of history follows it.
    private var start: Position { node.position(at: store.offsets.lowerBound - 1) }

    private func translate(_ resolution: Resolution) throws -> Resolution {
        var resolution = resolution
        if resolution.position != .earliest { resolution.position = node.position(at: try offset(resolution.position)) }
        return resolution
    }
}
#endif

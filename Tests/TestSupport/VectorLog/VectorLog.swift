// SPDX-License-Identifier: Apache-2.0

package import Martlet
import MartletSupport
import Synchronization

/// A log in memory with two partitions, which several nodes share: for tests in which a position must not be a number.
///
/// Each node is a `VectorLog` on one ``Store``. The topic of an event decides on its partition. A node reads everything
/// that is ready in one partition before it reads the other, so two nodes deliver the same events in different orders. A
/// position such as `3.5` counts the events of each partition that a reader has, including events before history.
///
/// The id of a publisher says nothing about the other partition. A reader that resumes from one misses nothing there, and
/// may receive events again.
package final class VectorLog: Log {
    /// One of two sequences of events, whose order all readers agree on.
    package enum Partition: Int, CaseIterable, Sendable {
        case first
        case second

        var other: Partition { self == .first ? .second : .first }
    }

    private let store: Store
    private let preferred: Partition

    /// A node.
    ///
    /// - Parameters:
    ///   - store: The events that the node shares with others.
    ///   - readsFirst: The partition that this node reads first.
    package init(_ store: Store = Store(), readsFirst: Partition = .first) {
        self.store = store
        self.preferred = readsFirst
    }

    /// The partition of a topic: the second one if the bytes of its name add up to an odd number.
    package static func partition(of topic: Topic) -> Partition {
        topic.name.utf8.reduce(0) { $0 ^ $1 & 1 } == 0 ? .first : .second
    }

    package func open() async throws -> Position { store.history.withLock { $0.end.position } }

    /// - Returns: For each event a position that covers it and all events that were accepted before.
    /// - Throws: ``MartletError`` if an id has the form of a position, or if the key was used with other events.
    package func append(_ events: [Event], once key: String?) async throws -> [Position] {
        for event in events {
            guard let id = event.id, PositionVector(id) != nil else { continue }
            throw MartletError(.invalidID, field: "id", "The id has the form of a position. Choose another.")
        }
        return try store.append(events, once: key)
    }

    package func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        let after = try vector(after)
        let through = try vector(through) ?? .zero
        return store.history.withLock {
            $0.read(selection, after: after, through: through, limit: limit, first: preferred)
        }
    }

    package func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        let after = try vector(after)
        while true {
            let seen = store.appended.version
            let slice = store.history.withLock {
                $0.read(nil, after: after, through: $0.end, limit: limit, first: preferred)
            }
            if !slice.records.isEmpty || slice.gap != nil { return slice }
            try await store.appended.wait(past: seen)
        }
    }

    package func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        store.history.withLock { $0.resolve(id, for: selection) }
    }

    package func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        let time = ContinuousClock.now.advanced(by: .zero - age)
        return store.history.withLock { $0.resolve(since: time, for: selection) }
    }

    package func present(through end: Position) async throws -> Present { store.history.withLock { $0.present } }

    package func covers(_ a: Position, _ b: Position) -> Bool {
        guard b != .earliest else { return true }
        guard let a = PositionVector(a.text), let b = PositionVector(b.text) else { return false }
        return a.covers(b)
    }

    /// The vector of a position of this log; `nil` for the earliest.
    private func vector(_ position: Position) throws(MartletError) -> PositionVector? {
        if position == .earliest { return nil }
        guard let vector = PositionVector(position.text) else {
            throw .foreignPosition
        }
        return vector
    }
}

extension VectorLog {
    /// The events that nodes share.
    package final class Store: Sendable {
        let history: Mutex<VectorHistory>
        let appended = Signal()
        private let eventsPerPartition: Int
        private let trimsLate: Bool

        /// - Parameters:
        ///   - eventsPerPartition: The maximum number of events in each partition.
        ///   - trimmedTopics: The maximum number of topics that each partition remembers once their events are removed.
        ///   - trimsLate: Whether events are removed some time after an append, and not with it.
        package init(eventsPerPartition: Int = .max, trimmedTopics: Int = 65_536, trimsLate: Bool = false) {
            self.eventsPerPartition = eventsPerPartition
            self.trimsLate = trimsLate
            history = Mutex(VectorHistory(trimmedTopics: trimmedTopics))
        }

        func append(_ events: [Event], once key: String?) throws -> [Position] {
            let positions = try history.withLock { history in
                let positions = try history.append(events, once: key)
                if !trimsLate { history.trim(to: eventsPerPartition) }
                return positions
            }
            appended.fire()
            if trimsLate {
                Task {
                    await Task.yield()
                    history.withLock { $0.trim(to: eventsPerPartition) }
                }
            }
            return positions
        }
    }
}

/// A position of a ``VectorLog``: the number of events of each partition that a reader has.
struct PositionVector: Hashable, Sendable {
    private var counts: SIMD2<UInt64>

    static let zero = PositionVector(counts: .zero)

    private init(counts: SIMD2<UInt64>) { self.counts = counts }

    /// Parses a text such as `3.5`. Each vector has one text, so `03.5` is not valid.
    init?(_ text: String) {
        guard let (first, second) = text.cutExactly(at: UInt8(ascii: ".")), let first = UInt64(first),
            let second = UInt64(second)
        else { return nil }
        self.init(counts: SIMD2(first, second))
        guard self.text.isExactly(text) else { return nil }
    }

    var text: String { "\(counts[0]).\(counts[1])" }
    var position: Position { Position(checked: text) }

    subscript(partition: VectorLog.Partition) -> UInt64 {
        get { counts[partition.rawValue] }
        set { counts[partition.rawValue] = newValue }
    }

    func covers(_ other: PositionVector) -> Bool { all(counts .>= other.counts) }

    /// The smallest vector that covers both.
    func union(_ other: PositionVector) -> PositionVector {
        PositionVector(counts: pointwiseMax(counts, other.counts))
    }
}

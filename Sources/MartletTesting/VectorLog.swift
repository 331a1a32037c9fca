// SPDX-License-Identifier: Apache-2.0

public import Martlet
import Synchronization

/// A log of two partitions that several nodes share, in memory: for tests that must not take a position for a number.
///
/// Each node is a `VectorLog` of its own on one ``Store``. The topic of an event decides on its partition, and a node
/// reads all that is ready of one partition before it reads the other, so that two nodes hand on the same events in
/// different orders. A position such as `3.5` says how many events of each partition a reader has; how many there were
/// before history begins counts too.
///
/// The id of a publisher says nothing about the other partition. Who resumes from one misses nothing there, and may be
/// given again what he has.
public final class VectorLog: Log {
    /// One of the two sequences of events in which all readers agree.
    public enum Partition: Int, CaseIterable, Sendable {
        case first
        case second

        var other: Partition { self == .first ? .second : .first }
    }

    private let store: Store
    private let preferred: Partition

    /// A node.
    ///
    /// - Parameters:
    ///   - store: What the node shares with the others.
    ///   - readsFirst: Of which partition this node reads all that is ready before it reads the other.
    public init(_ store: Store = Store(), readsFirst: Partition = .first) {
        self.store = store
        self.preferred = readsFirst
    }

    /// Where the events of a topic are: in the second partition if the bytes of its name add up to an odd number.
    public static func partition(of topic: Topic) -> Partition {
        topic.name.utf8.reduce(0) { $0 ^ $1 & 1 } == 0 ? .first : .second
    }

    public func open() async throws -> Position { store.history.withLock { $0.end.position } }

    /// - Returns: For each event a position that covers everything that was accepted before and the event itself.
    /// - Throws: ``MartletError`` if an id has the form of a position, or a key was given with other events.
    public func append(_ events: [Event], once key: String?) async throws -> [Position] {
        for event in events {
            guard let id = event.id, PositionVector(id) != nil else { continue }
            throw MartletError(.invalidID, field: "id", "The id has the form of a position. Choose another.")
        }
        return try store.append(events, once: key)
    }

    public func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        let after = try vector(after)
        let through = try vector(through) ?? .zero
        return store.history.withLock {
            $0.read(selection, after: after, through: through, limit: limit, first: preferred)
        }
    }

    public func tail(after: Position, limit: SliceLimit) async throws -> Slice {
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

    public func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        store.history.withLock { $0.resolve(id, for: selection) }
    }

    public func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        let time = ContinuousClock.now.advanced(by: .zero - age)
        return store.history.withLock { $0.resolve(since: time, for: selection) }
    }

    public func covers(_ a: Position, _ b: Position) -> Bool {
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
    /// What the nodes share.
    public final class Store: Sendable {
        let history: Mutex<VectorHistory>
        let appended = Signal()
        private let eventsPerPartition: Int
        private let trimsLate: Bool

        /// - Parameters:
        ///   - eventsPerPartition: The most events that each partition keeps.
        ///   - trimmedTopics: The most topics that each partition remembers after all their events were removed.
        ///   - trimsLate: Whether events are removed some time after others were accepted, and not at once.
        public init(eventsPerPartition: Int = .max, trimmedTopics: Int = 65_536, trimsLate: Bool = false) {
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

// SPDX-License-Identifier: Apache-2.0

package import Martlet
package import MartletTesting
import Synchronization

/// A log for a ``HubModel``, which knows how the log orders events and which it keeps.
package struct ModelledLog: Sendable {
    /// The number of lanes: sequences whose order all readers agree on. Events of different lanes come in any order.
    package var lanes = 1
    /// The lane of a topic.
    package var lane: @Sendable (Topic) -> Int = { _ in 0 }
    /// The number of events that each lane keeps, once this node has read them.
    package var kept: Int
    /// Whether older events are removed at once.
    package var isPunctual = true
    /// Whether the id of an event on a stream is the position that its publisher received.
    package var streamsAnswers = true
    /// Whether a hub finds the events of the hub before it.
    package var outlivesHubs = true
    /// The clock for the age of events; `nil` for real time.
    package var clock: ManualClock?
    /// Makes an instance for each hub, after the previous one was closed.
    package var make: @Sendable () async throws -> any Log

    package init(keeping kept: Int, make: @escaping @Sendable () async throws -> any Log) {
        self.kept = kept
        self.make = make
    }

    /// In memory: each hub starts without events.
    package static func memory(keeping kept: Int) -> ModelledLog {
        let clock = ManualClock()
        var log = ModelledLog(keeping: kept) { MemoryLog(retention: Retention(events: kept), clock: clock) }
        log.outlivesHubs = false
        log.clock = clock
        return log
    }

    /// Two partitions, read one after the other.
    package static func vector(
        keeping kept: Int, readsFirst: VectorLog.Partition = .first, trimsLate: Bool = false
    ) -> ModelledLog {
        let store = VectorLog.Store(eventsPerPartition: kept, trimsLate: trimsLate)
        var log = ModelledLog(keeping: kept) { VectorLog(store, readsFirst: readsFirst) }
        log.isPunctual = !trimsLate
        // A position depends on what this node has read of the other partition.
        log.streamsAnswers = false
        log.lanes = VectorLog.Partition.allCases.count
        log.lane = { VectorLog.partition(of: $0).rawValue }
        return log
    }
}

/// Another log, with the positions that it returned for the last publish.
final class WatchedLog: WrappingLog {
    let log: any Log
    private let positions = Mutex<[Position]>([])

    init(_ log: any Log) { self.log = log }

    var answer: [Position] { positions.withLock { $0 } }

    func append(_ events: [Event], once key: String?) async throws -> [Position] {
        let answer = try await log.append(events, once: key)
        positions.withLock { $0 = answer }
        return answer
    }
}

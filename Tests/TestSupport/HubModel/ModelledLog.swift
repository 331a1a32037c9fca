// SPDX-License-Identifier: Apache-2.0

package import Martlet
package import MartletTesting

/// A log of which a ``HubModel`` knows how it orders events and which it keeps.
package struct ModelledLog: Sendable {
    /// How many sequences of events there are in which all readers agree. Events of different lanes come in any order.
    package var lanes = 1
    /// In which of them the events of a topic are.
    package var lane: @Sendable (Topic) -> Int = { _ in 0 }
    /// How many events each lane keeps, once this node has read them.
    package var kept: Int
    /// Whether older ones are removed at once.
    package var isPunctual = true
    /// Whether a hub that starts finds what the hub before has left.
    package var outlivesHubs = true
    /// What the age of events is measured with; `nil`: real time.
    package var clock: ManualClock?
    /// Makes an instance for the first hub, and after it was closed for the next.
    package var make: @Sendable () async throws -> any Log

    package init(keeping kept: Int, make: @escaping @Sendable () async throws -> any Log) {
        self.kept = kept
        self.make = make
    }

    /// In memory: each hub begins anew.
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
        log.lanes = VectorLog.Partition.allCases.count
        log.lane = { VectorLog.partition(of: $0).rawValue }
        return log
    }
}

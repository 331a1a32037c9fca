// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The events that a ``VectorLog`` keeps: two partitions, each numbered from 1. A value.
struct VectorHistory {
    private typealias Partition = VectorLog.Partition

    private struct Entry {
        var event: Event
        /// The number of the event in both partitions, in the order of acceptance.
        var rank: UInt64
        var time = ContinuousClock.now
        /// The key, if this is the first event with that key.
        var key: String?
    }

    private struct Answer {
        var events: [Event]
        var positions: [Position]
    }

    private struct PartitionHistory {
        var entries: [Entry] = []
        /// The number of removed events.
        var removed: UInt64 = 0
        var trimmed: TrimmedTopics
        /// The time of the newest removed event.
        var removedTime: ContinuousClock.Instant?

        var last: UInt64 { removed + UInt64(entries.count) }

        subscript(offset: UInt64) -> Entry { entries[Int(offset - removed - 1)] }
    }

    private var partitions: [PartitionHistory]
    private var accepted: UInt64 = 0
    /// The answers to appends with a key, by the bytes of the key.
    private var answers: [[UInt8]: Answer] = [:]
    /// Ids with an earlier occurrence than those in history.
    private var shortenedIDs: Set<[UInt8]> = []

    init(trimmedTopics: Int) {
        let empty = PartitionHistory(trimmed: TrimmedTopics(capacity: trimmedTopics))
        partitions = Partition.allCases.map { _ in empty }
    }

    /// After the last event of each partition.
    var end: PositionVector { vector(\.last) }
    /// Before the first event in each partition.
    private var start: PositionVector { vector(\.removed) }

    private func vector(_ count: (PartitionHistory) -> UInt64) -> PositionVector {
        var vector = PositionVector.zero
        for partition in Partition.allCases { vector[partition] = count(partitions[partition.rawValue]) }
        return vector
    }

    /// What is known besides the events in history.
    private(set) var present = Present()

    /// - Returns: For each event, the value of ``end`` after it.
    mutating func append(_ events: [Event], once key: String?) throws(MartletError) -> [Position] {
        if let key, let answer = answers[Array(key.utf8)] {
            guard answer.events.map(\.withoutExpiry) == events.map(\.withoutExpiry) else { throw .keyReused }
            return answer.positions
        }
        if let end = present.topics.repeatedEnd(events) { return [end] }
        try present.topics.check(events)
        var positions: [Position] = []
        for event in events {
            positions.append(append(event, key: positions.isEmpty ? key : nil))
            present.note(Record(position: end.position, event: event))
        }
        if let key { answers[Array(key.utf8)] = Answer(events: events, positions: positions) }
        return positions
    }

    private mutating func append(_ event: Event, key: String?) -> Position {
        accepted += 1
        let index = VectorLog.partition(of: event.topic).rawValue
        partitions[index].entries.append(Entry(event: event, rank: accepted, key: key))
        return end.position
    }

    /// Removes the oldest events of each partition down to this number.
    mutating func trim(to eventsPerPartition: Int) {
        for index in partitions.indices {
            while partitions[index].entries.count > eventsPerPartition { removeOldest(of: index) }
        }
    }

    private mutating func removeOldest(of index: Int) {
        let oldest = partitions[index].entries.removeFirst()
        partitions[index].removed += 1
        partitions[index].removedTime = oldest.time
        partitions[index].trimmed.insert(oldest.event, at: partitions[index].removed)
        if let key = oldest.key { answers[Array(key.utf8)] = nil }
        if let id = oldest.event.id { forgetOccurrence(of: id) }
    }

    /// An event with this id was removed.
    private mutating func forgetOccurrence(of id: String) {
        if partitions.contains(where: { $0.entries.contains { $0.event.hasID(id) } }) {
            shortenedIDs.insert(Array(id.utf8))
        } else {
            shortenedIDs.remove(Array(id.utf8))
        }
    }

    /// - Parameters:
    ///   - after: `nil` for the earliest.
    ///   - first: The partition to read before the other.
    func read(
        _ selection: Selection?, after: PositionVector?, through: PositionVector, limit: SliceLimit,
        first: VectorLog.Partition
    ) -> Slice {
        var place = after ?? .zero
        var slice = Slice(records: [], end: place.position, isComplete: true)
        let wanted = Partition.allCases.filter { place[$0] < through[$0] }
        for partition in wanted { place[partition] = max(place[partition], min(start[partition], through[partition])) }
        if let after, wanted.contains(where: { isTrimmed(selection, after: after, in: $0) }) {
            slice.gap = place.position
        }

        var bytes = 0
        for partition in [first, first.other] {
            let stop = min(through[partition], end[partition])
            while place[partition] < stop {
                let event = partitions[partition.rawValue][place[partition] + 1].event
                if selection?.contains(event) ?? true {
                    guard limit.admits(event.byteCount, behind: slice.records.count, of: bytes) else {
                        slice.end = place.position
                        slice.isComplete = false
                        return slice
                    }
                    place[partition] += 1
                    slice.records.append(Record(position: place.position, event: event))
                    bytes += event.byteCount
                } else {
                    place[partition] += 1
                }
            }
        }
        slice.end = place.union(through).position
        return slice
    }

    func resolve(_ id: String, for selection: Selection) -> Resolution {
        if id.isExactly(Position.earliest.text) { return Resolution(position: .earliest) }
        guard let found = PositionVector(id) ?? earliestOccurrence(of: id, for: selection) else {
            return Resolution(position: .earliest, gap: .unknown)
        }
        if shortenedIDs.contains(Array(id.utf8)) { return Resolution(position: .earliest, gap: .trimmed) }
        guard end.covers(found) else { return Resolution(position: .earliest, gap: .rolledBack) }
        if Partition.allCases.contains(where: { isTrimmed(selection, after: found, in: $0) }) {
            return Resolution(position: found.union(start).position, gap: .trimmed)
        }
        return Resolution(position: found.position)
    }

    func resolve(since time: ContinuousClock.Instant, for selection: Selection) -> Resolution {
        var position = end
        var isTrimmed = false
        for partition in Partition.allCases {
            let history = partitions[partition.rawValue]
            let index = history.entries.firstIndex { $0.time >= time }
            if let index { position[partition] = history.removed + UInt64(index) }
            let mayBeTrimmed = history.removedTime.map { $0 >= time } ?? false
            if mayBeTrimmed, self.isTrimmed(selection, after: .zero, in: partition) { isTrimmed = true }
        }
        return Resolution(position: position.position, gap: isTrimmed ? .trimmed : nil)
    }

    /// The least position of a reader that has read the selected event with this id: its partition up to there.
    private func earliestOccurrence(of id: String, for selection: Selection) -> PositionVector? {
        var earliest: (rank: UInt64, position: PositionVector)?
        for partition in Partition.allCases {
            let history = partitions[partition.rawValue]
            let index = history.entries.firstIndex { $0.event.hasID(id) && selection.contains($0.event) }
            guard let index, history.entries[index].rank < earliest?.rank ?? .max else { continue }
            var position = PositionVector.zero
            position[partition] = history.removed + UInt64(index) + 1
            earliest = (history.entries[index].rank, position)
        }
        return earliest?.position
    }

    private func isTrimmed(
        _ selection: Selection?, after place: PositionVector, in partition: VectorLog.Partition
    ) -> Bool {
        guard let selection else { return place[partition] < start[partition] }
        return partitions[partition.rawValue].trimmed.contains(selection, after: place[partition])
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MartletSupport

/// The events that a ``MemoryLog`` keeps, numbered from 1 in the order in which they were accepted. A value.
struct MemoryHistory<Instant: InstantProtocol> where Instant.Duration == Duration {
    private struct Entry {
        var event: Event
        var byteCount: Int
        var time: Instant
        /// The key of the events of which this is the first.
        var key: ExactText?
    }

    private var entries: Deque<Entry> = []
    /// The offset of the oldest entry, or of the next one where there is none.
    private var first: UInt64 = 1
    private(set) var byteCount = 0
    private var ids = PublisherIDs()
    private var keys: [ExactText: Range<UInt64>] = [:]
    private var trimmed: TrimmedTopics
    /// When the newest event was accepted of those that were removed.
    private var trimmedTime: Instant?

    /// How many times one slice holds a topic against a pattern, so that a rare topic does not hold up everybody else.
    private static var mostScanned: Int { 4096 }

    init(trimmedTopics: Int) { trimmed = TrimmedTopics(capacity: trimmedTopics) }

    var count: Int { entries.count }
    /// The offset of the newest event that there ever was; 0 for none.
    var last: UInt64 { first + UInt64(entries.count) - 1 }

    /// Accepts events, at a time that is not before that of any other.
    ///
    /// - Parameter key: A new one.
    mutating func append(_ events: [Event], once key: String?, at time: Instant) -> Range<UInt64> {
        let range = last + 1..<last + 1 + UInt64(events.count)
        let key = events.isEmpty ? nil : key.map(ExactText.init)
        if let key { keys[key] = range }
        for event in events {
            let isFirst = last + 1 == range.lowerBound
            let entry = Entry(event: event, byteCount: event.byteCount, time: time, key: isFirst ? key : nil)
            entries.append(entry)
            byteCount += entry.byteCount
            if let id = event.id { ids.insert(id, at: last) }
        }
        return range
    }

    /// Where the events are that were accepted with this key, which must be the same; `nil` where it is new.
    func accepted(_ events: [Event], once key: String?) throws(MartletError) -> Range<UInt64>? {
        guard let key, let range = keys[ExactText(key)] else { return nil }
        let accepted = range.lazy.map { self.entries[Int($0 - self.first)].event }
        guard accepted.elementsEqual(events) else { throw .keyReused }
        return range
    }

    /// Removes the oldest events up to an offset, as far as retention asks for it.
    mutating func trim(to retention: Retention, through: UInt64, age: (Instant) -> Duration) {
        while let oldest = entries.first, first <= through {
            guard entries.count > retention.events || byteCount > retention.bytes || age(oldest.time) > retention.age
            else { return }
            entries.removeFirst()
            byteCount -= oldest.byteCount
            if let id = oldest.event.id { ids.remove(id, at: first) }
            if let key = oldest.key { keys[key] = nil }
            trimmed.insert(oldest.event, at: first)
            trimmedTime = oldest.time
            first += 1
        }
    }

    /// - Parameter after: `nil` for the earliest.
    func read(
        _ selection: Selection?, after: UInt64?, through: UInt64, limit: SliceLimit, in epoch: Epoch
    ) -> Slice {
        var slice = Slice(records: [], end: epoch.position(through), isComplete: true)
        if let after, after < through, after + 1 < first, isTrimmed(selection, after: after) {
            slice.gap = epoch.position(min(first - 1, through))
        }
        var bytes = 0
        var offset = max(first, (after ?? 0) + 1)
        let stop = min(through, last)
        let patterns = max(1, selection?.patternCount ?? 1)
        var scanned = 0
        while offset <= stop {
            guard scanned < Self.mostScanned else {
                slice.end = epoch.position(offset - 1)
                slice.isComplete = false
                return slice
            }
            let entry = entries[Int(offset - first)]
            scanned += patterns * (1 + entry.event.alternates.count)
            if selection?.contains(entry.event) ?? true {
                guard limit.admits(entry.byteCount, behind: slice.records.count, of: bytes) else {
                    slice.end = epoch.position(offset - 1)
                    slice.isComplete = false
                    return slice
                }
                slice.records.append(Record(position: epoch.position(offset), event: entry.event))
                bytes += entry.byteCount
            }
            offset += 1
        }
        return slice
    }

    func resolve(_ id: String, for selection: Selection, in epoch: Epoch) -> Resolution {
        if id.isExactly(Position.earliest.text) { return Resolution(position: .earliest) }
        // Everything in history comes after it, and unlike the earliest it is of this epoch.
        let start = epoch.position(first - 1)
        // Whether an id exists that is not selected is nobody's business.
        let chosen = ids.all(id).first { selection.contains(entries[Int($0 - first)].event) }
        guard let offset = epoch.offset(of: id) ?? chosen else {
            return Resolution(position: start, gap: Epoch.parts(of: id) == nil ? .unknown : .epoch)
        }
        if offset > last { return Resolution(position: start, gap: .rolledBack) }
        if ids.hasLostAnOccurrence(id) || isTrimmed(selection, after: offset) {
            return Resolution(position: start, gap: .trimmed)
        }
        return Resolution(position: epoch.position(offset))
    }

    /// Finds the place before everything that was accepted at a time or later.
    func resolve(since time: Instant, for selection: Selection, in epoch: Epoch) -> Resolution {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].time < time { low = middle + 1 } else { high = middle }
        }
        let mayBeTrimmed = trimmedTime.map { $0 >= time } ?? false
        let isTrimmed = mayBeTrimmed && isTrimmed(selection, after: 0)
        return Resolution(position: epoch.position(first - 1 + UInt64(low)), gap: isTrimmed ? .trimmed : nil)
    }

    private func isTrimmed(_ selection: Selection?, after offset: UInt64) -> Bool {
        guard let selection else { return offset + 1 < first }
        return trimmed.contains(selection, after: offset)
    }
}

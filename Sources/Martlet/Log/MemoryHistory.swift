// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MartletSupport

/// The events of a ``MemoryLog``, numbered from 1 in the order in which they were accepted. A value.
struct MemoryHistory<Instant: InstantProtocol> where Instant.Duration == Duration {
    private struct Entry {
        var event: Event
        var byteCount: Int
        var time: Instant
        /// The idempotency key, if the event is the first of its publish.
        var key: ExactText?
    }

    private var entries: Deque<Entry> = []
    /// The offset of the oldest entry, or of the next one if there is none.
    private var first: UInt64 = 1
    private(set) var byteCount = 0
    private var ids = PublisherIDs()
    private var keys: [ExactText: Range<UInt64>] = [:]
    private var trimmed: TrimmedTopics
    /// When the newest of the removed events was accepted.
    private var trimmedTime: Instant?

    /// The most comparisons of a topic with a pattern for one slice, so that a reader of a rare topic does not delay
    /// the others.
    private static var mostScanned: Int { 4096 }

    init(trimmedTopics: Int) { trimmed = TrimmedTopics(capacity: trimmedTopics) }

    var count: Int { entries.count }
    /// The offset of the newest event that there ever was; 0 for none.
    var last: UInt64 { first + UInt64(entries.count) - 1 }

    /// Appends events.
    ///
    /// - Parameters:
    ///   - key: A new key.
    ///   - time: Not before that of any other event.
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

    /// The offsets of the events that were accepted with this key; `nil` if the key is new.
    ///
    /// - Throws: `keyReused` if these are other events.
    func accepted(_ events: [Event], once key: String?) throws(MartletError) -> Range<UInt64>? {
        guard let key, let range = keys[ExactText(key)] else { return nil }
        let accepted = range.lazy.map { self.entries[Int($0 - self.first)].event }
        guard accepted.elementsEqual(events) else { throw .keyReused }
        return range
    }

    /// Removes the oldest events up to an offset, as far as retention demands it.
    mutating func trim(to retention: Retention, through: UInt64, age: (Instant) -> Duration) {
        while !entries.isEmpty, first <= through {
            // Without a copy of the entry.
            guard
                entries.count > retention.events || byteCount > retention.bytes
                    || age(entries[0].time) > retention.age
            else { return }
            let oldest = entries.removeFirst()
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
        var builder = SliceBuilder(selection, limit: limit, end: epoch.position(through))
        if let after, after < through, after + 1 < first, isTrimmed(selection, after: after) {
            builder.slice.gap = epoch.position(min(first - 1, through))
        }
        var offset = max(first, (after ?? 0) + 1)
        let stop = min(through, last)
        let patterns = max(1, selection?.patternCount ?? 1)
        var scanned = 0
        while offset <= stop {
            // Without a copy of the entry.
            let index = Int(offset - first)
            guard scanned < Self.mostScanned,
                builder.append(
                    entries[index].event, byteCount: entries[index].byteCount, at: epoch.position(offset))
            else {
                builder.stop(at: epoch.position(offset - 1))
                break
            }
            scanned += patterns * (1 + entries[index].event.alternates.count)
            offset += 1
        }
        return builder.slice
    }

    func resolve(_ id: String, for selection: Selection, in epoch: Epoch) -> Resolution {
        if id.isExactly(Position.earliest.text) { return Resolution(position: .earliest) }
        // All of history follows it, and unlike the earliest position it is of this epoch.
        let start = epoch.position(first - 1)
        // A client must not learn whether an id exists that it does not select.
        func chosen() -> UInt64? { ids.all(id).first { selection.contains(entries[Int($0 - first)].event) } }
        guard let offset = epoch.offset(of: id) ?? chosen() else {
            return Resolution(position: start, gap: Epoch.parts(of: id) == nil ? .unknown : .epoch)
        }
        if offset > last { return Resolution(position: start, gap: .rolledBack) }
        if ids.hasLostAnOccurrence(id) || isTrimmed(selection, after: offset) {
            return Resolution(position: start, gap: .trimmed)
        }
        return Resolution(position: epoch.position(offset))
    }

    /// Finds the position in front of all events that were accepted at a time or later.
    func resolve(since time: Instant, for selection: Selection, in epoch: Epoch) -> Resolution {
        let index = entries.partitioningIndex { $0.time >= time }
        let mayBeTrimmed = trimmedTime.map { $0 >= time } ?? false
        let isTrimmed = mayBeTrimmed && isTrimmed(selection, after: 0)
        return Resolution(position: epoch.position(first - 1 + UInt64(index)), gap: isTrimmed ? .trimmed : nil)
    }

    private func isTrimmed(_ selection: Selection?, after offset: UInt64) -> Bool {
        guard let selection else { return offset + 1 < first }
        return trimmed.contains(selection, after: offset)
    }
}

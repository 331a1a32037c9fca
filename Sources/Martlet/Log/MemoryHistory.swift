// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MartletSupport

/// The events of a ``MemoryLog``, numbered from 1 in the order in which they were accepted. A value.
///
/// Rules of retention remove events from the middle. Their places stay until they are the most.
struct MemoryHistory<Instant: InstantProtocol> where Instant.Duration == Duration {
    private struct Entry {
        var event: Event
        var offset: UInt64
        /// -1 if the event was removed.
        var byteCount: Int
        var time: Instant
        /// The idempotency key, if the event is the first of its publish.
        var key: ExactText?

        var isRemoved: Bool { byteCount < 0 }
    }

    /// The first of them was not removed.
    private var entries: Deque<Entry> = []
    /// How many of the entries were removed.
    private var holes = 0
    /// The offset of the oldest event, or of the next one if there is none.
    private var first: UInt64 = 1
    /// The offset of the newest event that there ever was; 0 for none.
    private(set) var last: UInt64 = 0
    private(set) var byteCount = 0
    /// The events of topics with rules.
    private var ruled: RuledTopics<Instant>?
    /// The offset of the newest event that was removed; 0 for none.
    private var lastRemoved: UInt64 = 0
    private var ids = PublisherIDs()
    private var keys: [ExactText: Range<UInt64>] = [:]
    private var trimmed: TrimmedTopics
    /// When the newest of the removed events was accepted.
    private var trimmedTime: Instant?

    /// The most comparisons of a topic with a pattern for one slice, so that a reader of a rare topic does not delay
    /// the others.
    private static var mostScanned: Int { 4096 }

    init(rules: RetentionRules = [], trimmedTopics: Int) {
        trimmed = TrimmedTopics(capacity: trimmedTopics)
        ruled = RuledTopics(rules)
    }

    var count: Int { entries.count - holes }

    /// The index of the entry with this offset or the next greater one.
    private func index(of offset: UInt64) -> Int {
        guard offset > first else { return 0 }
        // As long as rules have removed nothing.
        if entries.count == Int(last + 1 - first) { return min(Int(offset - first), entries.count) }
        return entries.partitioningIndex { $0.offset >= offset }
    }

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
            last += 1
            let entry = Entry(
                event: event, offset: last, byteCount: event.byteCount, time: time, key: isFirst ? key : nil)
            entries.append(entry)
            byteCount += entry.byteCount
            ruled?.append(event.topic, byteCount: entry.byteCount, at: last, time: time)
            if let id = event.id { ids.insert(id, at: last) }
        }
        return range
    }

    /// The offsets of the events that were accepted with this key; `nil` if the key is new.
    ///
    /// - Throws: `keyReused` if these are other events.
    func accepted(_ events: [Event], once key: String?) throws(MartletError) -> Range<UInt64>? {
        guard let key, let range = keys[ExactText(key)] else { return nil }
        guard range.count == events.count else { throw .keyReused }
        var index = index(of: range.lowerBound)
        for (offset, event) in zip(range, events) {
            // What a rule has removed cannot be compared.
            guard index < entries.count, entries[index].offset == offset else { continue }
            guard entries[index].isRemoved || entries[index].event.withoutExpiry == event.withoutExpiry else {
                throw .keyReused
            }
            index += 1
        }
        return range
    }

    /// Removes events up to an offset, as far as their rules and retention demand it.
    mutating func trim(to retention: Retention, through: UInt64, age: (Instant) -> Duration) {
        if ruled != nil { trimRuled(through: through, age: age) }
        while !entries.isEmpty, first <= through {
            let surplus = ruled?.surplus
            // Without a copy of the entry.
            guard
                count - (surplus?.events ?? 0) > retention.events
                    || byteCount - (surplus?.bytes ?? 0) > retention.bytes
                    || age(entries[0].time) > retention.age
            else { return }
            let oldest = entries.removeFirst()
            removed(oldest)
            ruled?.remove(oldest.event.topic, at: oldest.offset)
            moveFirst()
        }
    }

    /// How many events are removed because of rules while other publishers wait.
    private static var mostRuled: Int { 1000 }

    private mutating func trimRuled(through: UInt64, age: (Instant) -> Duration) {
        let excess =
            ruled?.excess(through: through, atMost: Self.mostRuled) { time, most in age(time) > most } ?? []
        guard !excess.isEmpty else { return }
        for (topic, item) in excess {
            let index = index(of: item.offset)
            removed(entries[index])
            ruled?.remove(topic, at: item.offset)
            entries[index].byteCount = -1
            entries[index].key = nil
            entries[index].event = Event(topic: topic, data: "")
            holes += 1
        }
        moveFirst()
        if holes > 64, holes > entries.count / 2 {
            entries.removeAll(where: \.isRemoved)
            holes = 0
        }
    }

    private mutating func removed(_ entry: Entry) {
        byteCount -= entry.byteCount
        if let id = entry.event.id { ids.remove(id, at: entry.offset) }
        if let key = entry.key { keys[key] = nil }
        trimmed.insert(entry.event, at: entry.offset)
        trimmedTime = trimmedTime.map { max($0, entry.time) } ?? entry.time
        lastRemoved = max(lastRemoved, entry.offset)
    }

    private mutating func moveFirst() {
        while entries.first?.isRemoved == true {
            entries.removeFirst()
            holes -= 1
        }
        first = entries.first?.offset ?? last + 1
    }

    /// - Parameter after: `nil` for the earliest.
    func read(
        _ selection: Selection?, after: UInt64?, through: UInt64, limit: SliceLimit, in epoch: Epoch
    ) -> Slice {
        var builder = SliceBuilder(selection, limit: limit, end: epoch.position(through))
        var index = index(of: max(first, (after ?? 0) + 1))
        let patterns = max(1, selection?.patternCount ?? 1)
        var scanned = 0
        var end = through
        var firstRead: UInt64?
        while index < entries.count, entries[index].offset <= through {
            guard !entries[index].isRemoved else {
                index += 1
                continue
            }
            // Without a copy of the entry.
            let offset = entries[index].offset
            guard scanned < Self.mostScanned,
                builder.append(
                    entries[index].event, byteCount: entries[index].byteCount, at: epoch.position(offset))
            else {
                end = offset - 1
                builder.stop(at: epoch.position(end))
                break
            }
            if firstRead == nil, !builder.slice.records.isEmpty { firstRead = offset }
            scanned += patterns * (1 + entries[index].event.alternates.count)
            index += 1
        }
        if let after, after < through {
            // A gap that is further away than this slice is told when the reader comes to it.
            let stop = builder.slice.isComplete ? UInt64.max : max(end, after + 1)
            if isTrimmed(selection, in: after + 1...stop) {
                builder.slice.gap = epoch.position(firstRead.map { $0 - 1 } ?? end)
            }
        }
        return builder.slice
    }

    func resolve(_ id: String, for selection: Selection, in epoch: Epoch) -> Resolution {
        if id.isExactly(Position.earliest.text) { return Resolution(position: .earliest) }
        // All of history follows it, and unlike the earliest position it is of this epoch.
        let start = epoch.position(first - 1)
        // A client must not learn whether an id exists that it does not select.
        func chosen() -> UInt64? { ids.all(id).first { selection.contains(entries[index(of: $0)].event) } }
        guard let offset = epoch.offset(of: id) ?? chosen() else {
            return Resolution(position: start, gap: Epoch.parts(of: id) == nil ? .unknown : .epoch)
        }
        if offset > last { return Resolution(position: start, gap: .rolledBack) }
        // Gaps within history are told by the slices.
        let isBehind = offset + 1 < first && trimmed.contains(selection, after: offset)
        if ids.hasLostAnOccurrence(id) || isBehind { return Resolution(position: start, gap: .trimmed) }
        return Resolution(position: epoch.position(offset))
    }

    /// Finds the position in front of all events that were accepted at a time or later.
    func resolve(since time: Instant, for selection: Selection, in epoch: Epoch) -> Resolution {
        var index = entries.partitioningIndex { $0.time >= time }
        // Gaps within history are told by the slices.
        while index > 0, entries[index - 1].isRemoved { index -= 1 }
        guard index == 0 else { return Resolution(position: epoch.position(entries[index - 1].offset)) }
        let mayBeTrimmed = trimmedTime.map { $0 >= time } ?? false
        let isTrimmed = mayBeTrimmed && trimmed.contains(selection, after: 0)
        return Resolution(position: epoch.position(first - 1), gap: isTrimmed ? .trimmed : nil)
    }

    private func isTrimmed(_ selection: Selection?, in offsets: ClosedRange<UInt64>) -> Bool {
        guard offsets.lowerBound <= lastRemoved else { return false }
        return selection.map { trimmed.contains($0, in: offsets) } ?? true
    }
}

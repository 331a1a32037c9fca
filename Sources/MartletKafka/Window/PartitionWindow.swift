// SPDX-License-Identifier: Apache-2.0

#if Kafka
import DequeModule
import Martlet
import MartletSupport

/// The newest records of a partition, as far as this node has read it. It answers most readers without the brokers,
/// and it alone knows ids of publishers and idempotency keys. A value.
struct PartitionWindow {
    struct Entry {
        var record: KafkaRecord
        var byteCount: Int
        /// The greatest time of this record and of those in front of it in the window.
        var latest: Int64

        var events: [Event] { record.content?.events ?? [] }
    }

    /// The first record with an idempotency key.
    struct Accepted {
        var offset: Int64
        var stamp: Stamp
        /// The number of its events, and a hash of what they are.
        var count: Int
        var fingerprint: Int
    }

    /// How far apart two records with one idempotency key can be that count as one, at least: two nodes may have
    /// accepted them at the same time. Within the window, any distance counts.
    static let repeatDistance: Int64 = 1024

    /// Every record from ``start`` to ``next``; offsets may be missing (compaction, ends of transactions).
    private(set) var entries: Deque<Entry> = []
    private(set) var byteCount = 0
    /// Where the window begins.
    private(set) var start: Int64
    /// The offset of the next record that this node will read.
    private(set) var next: Int64
    /// The stamp of the record in front of ``next``; `nil` if the node has not read it.
    private(set) var lastStamp: Stamp?
    /// The oldest offset that the brokers still have.
    private(set) var low: Int64
    private var ids = PublisherIDs()
    private var keys: [ExactText: Accepted] = [:]
    /// The keys, in the order of their records.
    private var keyOrder: Deque<(key: ExactText, offset: Int64)> = []
    /// The topics of events that are no longer in the window, by the number of records up to them.
    private var trimmed: TrimmedTopics
    /// The greatest time of the records that are no longer in the window; `nil` if it has seen none.
    private var trimmedTime: Int64?
    private let trimmedTopics: Int

    init(from start: Int64, low: Int64, trimmedTopics: Int) {
        self.start = start
        next = start
        self.low = low
        self.trimmedTopics = trimmedTopics
        trimmed = TrimmedTopics(capacity: trimmedTopics)
        trimmed.raiseFloor(to: UInt64(start))
    }

    // MARK: Reading the partition

    /// The node has read the next record. Returns what it is in the window.
    mutating func append(_ record: KafkaRecord) -> Entry {
        var record = record
        if let key = record.content?.key {
            if keys[key] != nil {
                // Another record was published with the same key, so this one counts as one without events.
                record.content?.events = []
            } else {
                let events = record.content?.events ?? []
                keys[key] = Accepted(
                    offset: record.offset, stamp: record.stamp, count: events.count,
                    fingerprint: Self.fingerprint(events.map(\.withoutExpiry)))
                keyOrder.append((key, record.offset))
            }
        }
        let latest = max(record.time, entries.last?.latest ?? trimmedTime ?? 0)
        let entry = Entry(
            record: record, byteCount: Event.overheadBytes + record.byteCount, latest: latest)
        entries.append(entry)
        byteCount += entry.byteCount
        next = record.offset + 1
        lastStamp = record.stamp
        for case let id? in entry.events.lazy.map(\.id) { ids.insert(id, at: UInt64(record.offset)) }
        forgetKeys()
        return entry
    }

    private mutating func forgetKeys() {
        let oldest = min(start, next - Self.repeatDistance)
        while let first = keyOrder.first, first.offset < oldest {
            keyOrder.removeFirst()
            if keys[first.key]?.offset == first.offset { keys[first.key] = nil }
        }
    }

    /// Removes the oldest entries down to the bounds.
    mutating func trim(toRecords records: Int, bytes: Int) {
        while entries.count > records || byteCount > bytes { removeFirst() }
    }

    /// The brokers have removed the records in front of this offset.
    mutating func raiseLow(to offset: Int64) {
        guard offset > low else { return }
        low = offset
        while let first = entries.first, first.record.offset < offset { removeFirst() }
        if offset > next {
            // This node has not read them.
            trimmed.raiseFloor(to: UInt64(offset))
            trimmedTime = .max
            next = offset
            lastStamp = nil
        }
        start = max(start, offset)
    }

    private mutating func removeFirst() {
        let entry = entries.removeFirst()
        let offset = entry.record.offset
        byteCount -= entry.byteCount
        start = offset + 1
        for event in entry.events {
            if let id = event.id { ids.remove(id, at: UInt64(offset)) }
            trimmed.insert(event, at: UInt64(offset + 1))
        }
        trimmedTime = max(trimmedTime ?? 0, entry.latest)
    }

    /// Forgets the records from an offset on, which the brokers have lost.
    mutating func forget(from offset: Int64, low: Int64) {
        let kept = entries.prefix { $0.record.offset < offset }
        // The topics of events in front of the window are still remembered.
        var window = PartitionWindow(from: min(start, offset), low: low, trimmedTopics: trimmedTopics)
        window.trimmed = trimmed
        window.trimmedTime = trimmedTime
        window.keys = keys.filter { $0.value.offset < window.start }
        window.keyOrder = keyOrder.filter { $0.offset < window.start }
        for entry in kept { _ = window.append(entry.record) }
        if window.next != offset { window.lastStamp = nil }
        window.next = offset
        self = window
    }

    // MARK: Answers

    var edge: (next: Int64, lastStamp: Stamp?) { (next, lastStamp) }

    /// The entry of an offset; `nil` if it is not in the window.
    func entry(at offset: Int64) -> Entry? {
        let index = entries.partitioningIndex { $0.record.offset >= offset }
        return index < entries.count && entries[index].record.offset == offset ? entries[index] : nil
    }

    /// Whether a reader has missed a selected event that the brokers have removed, as far as the node knows.
    func hasMissed(_ selection: Selection?, after progress: Progress) -> Bool {
        guard progress.next < low else { return false }
        return trimmed.contains(selection ?? Self.everything, after: UInt64(progress.next))
    }

    private static let everything = Selection(selectors: [.every], grants: [.every])

    /// The offset of the earliest record in the window with an event that has this id and is selected.
    func offset(ofID id: String, for selection: Selection) -> Int64? {
        // A client must not learn whether an id exists that it does not select.
        ids.all(id).lazy.map { Int64($0) }.first { offset in
            entry(at: offset)?.events.contains { $0.hasID(id) && selection.contains($0) } ?? false
        }
    }

    /// Whether an earlier event with this id is no longer in the window.
    func hasLostAnOccurrence(ofID id: String) -> Bool { ids.hasLostAnOccurrence(id) }

    /// The record that was published with this idempotency key.
    func accepted(once key: ExactText) -> Accepted? { keys[key] }

    /// A hash of everything that events are; of use in this process only.
    static func fingerprint(_ events: [Event]) -> Int {
        var hasher = Hasher()
        for event in events {
            for (name, value) in EventFields.of(event) {
                hasher.combine(ExactText(name))
                hasher.combine(ExactText(value))
            }
        }
        return hasher.finalize()
    }

    /// Where a reader begins that wants all events from a time on.
    enum Since {
        case from(Int64)
        /// Records in front of the window may be young enough.
        case before(Int64)
    }

    func offset(since time: Int64) -> Since {
        let index = entries.partitioningIndex { $0.latest >= time }
        if index > 0 || start <= low { return .from(index < entries.count ? entries[index].record.offset : next) }
        return .before(start)
    }

    /// Whether a selected event that may not be older than a time has been removed.
    func hasRemoved(_ selection: Selection, since time: Int64) -> Bool {
        guard low > 0 else { return false }
        if let trimmedTime {
            guard trimmedTime >= time else { return false }
        } else if let first = entries.first, first.record.offset <= low, first.latest < time {
            return false
        }
        return trimmed.contains(selection, after: 0)
    }
}
#endif

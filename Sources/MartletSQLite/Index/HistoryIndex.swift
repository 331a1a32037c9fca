// SPDX-License-Identifier: Apache-2.0

import Martlet

/// The index in memory of the events in the file. A value.
///
/// It takes 4 bytes for each event, 20 for each publisher's id and each idempotency key, and the memory of
/// ``TrimmedTopics`` and ``RuledTopics``.
struct HistoryIndex {
    /// The offset of the oldest event, or of the next one if there is none.
    private(set) var first: UInt64
    private(set) var last: UInt64
    private(set) var count = 0
    /// Events up to here are being removed at this moment, and may no longer be in the file; 0 for none.
    var leaving: UInt64 = 0
    /// Other events that are being removed at this moment.
    var leavingSome: Set<UInt64> = []
    /// As retention counts.
    private(set) var byteCount = 0
    /// The time of the newest event that there ever was; 0 for none.
    private(set) var time: Int64
    /// The oldest event is not older than this; `nil` if there is none.
    private(set) var oldest: Int64?
    private(set) var topics = TopicColumn()
    private(set) var ids = OffsetTable()
    private(set) var publishes = OffsetTable()
    private(set) var trimmed: TrimmedTopics
    /// The time of the newest event that was removed; `nil` if none was.
    private(set) var trimmedTime: Int64?
    /// The offset of the newest event that was removed; 0 for none.
    private(set) var lastRemoved: UInt64
    /// The events of topics with rules; `nil` if there are no rules.
    private(set) var ruled: RuledTopics<Int64>?
    /// Everything in front of this offset was removed as the oldest.
    private var origin: UInt64
    /// Whether rules have, or may have, removed events from the middle.
    private(set) var mayHaveHoles = false
    /// How many rows remember removed events of topics with rules.
    private(set) var thinnedTopics = 0
    /// How many removals there were.
    private(set) var removals = 0
    /// How many events rules have removed since the tables were swept.
    private var thinned = 0

    /// - Parameter first: The offset of the first event in history, or of the next one.
    init(from first: UInt64, rules: RetentionRules = [], trimmed: TrimmedTopics, trimmedTime: Int64?) {
        self.first = first
        origin = first
        last = first - 1
        lastRemoved = first - 1
        self.trimmed = trimmed
        self.trimmedTime = trimmedTime
        time = trimmedTime ?? 0
        ruled = RuledTopics(rules)
    }

    mutating func append(_ row: EventRow) {
        if count == 0 { first = row.offset }
        last = row.offset
        count += 1
        time = row.time
        if oldest == nil { oldest = row.time }
        let byteCount = row.event.byteCount
        self.byteCount += byteCount
        topics.append(row.event, at: row.offset)
        ruled?.append(row.event.topic, byteCount: byteCount, at: row.offset, time: row.time)
        if let id = row.event.id { ids.append(id, at: row.offset) }
        if let publish = row.publish { publishes.append(publish.key, at: row.offset) }
    }

    /// What a file says about the events that rules have removed from it.
    mutating func restore(_ holes: [ClosedRange<UInt64>], topics: Int, time: Int64?) {
        thinnedTopics = topics
        guard let newest = holes.last?.upperBound else { return }
        mayHaveHoles = true
        lastRemoved = max(lastRemoved, newest)
        last = max(last, newest)
        if count == 0 { first = last + 1 }
        trimmedTime = [trimmedTime, time].compactMap { $0 }.max()
        self.time = max(self.time, time ?? 0)
    }

    mutating func remove(_ removal: Removal) {
        leaving = 0
        removals += 1
        count -= removal.count
        byteCount -= removal.byteCount
        oldest = count == 0 ? nil : removal.oldestLeft ?? oldest
        if removal.count > 0 { origin = max(origin, removal.last + 1) }
        topics.removeFirst(through: removal.last)
        first = topics.first(from: removal.last + 1) ?? last + 1
        ids.removeFirst(through: removal.last)
        publishes.removeFirst(through: removal.last)
        for event in removal.events {
            trimmed.insert(event.event, at: event.offset)
            ruled?.remove(event.event.topic, at: event.offset)
        }
        lastRemoved = max(lastRemoved, removal.last)
        trimmedTime = [trimmedTime, removal.time].compactMap { $0 }.max()
    }

    /// Rules have removed events from the middle.
    mutating func remove(_ thinning: Thinning) {
        leavingSome = []
        removals += 1
        mayHaveHoles = true
        thinnedTopics += thinning.newTopics
        for (row, byteCount) in thinning.events {
            count -= 1
            self.byteCount -= byteCount
            topics.remove(row.offset)
            ruled?.remove(row.event.topic, at: row.offset)
            trimmed.insert(row.event, at: row.offset)
            lastRemoved = max(lastRemoved, row.offset)
            trimmedTime = max(trimmedTime ?? row.time, row.time)
        }
        first = topics.first(from: first) ?? last + 1
        if count == 0 { oldest = nil }
        thinned += thinning.events.count
        if thinned > count + 4096 {
            thinned = 0
            ids.sweep { topics.contains($0) }
            publishes.sweep { topics.contains($0) }
        }
    }

    /// What exceeds rules and may be removed, and what exceeds them and may not yet.
    mutating func excess(
        with added: [Topic: (events: Int, bytes: Int)], through: UInt64, atMost count: Int,
        isTooOld: (Int64, Duration) -> Bool
    ) -> (items: [(topic: Topic, item: RuledTopics<Int64>.Item)], surplus: RuledTopics<Int64>.Surplus) {
        let items = ruled?.excess(with: added, through: through, atMost: count, isTooOld: isTooOld) ?? []
        return (items, ruled?.surplus(with: added, without: items) ?? .init())
    }

    /// The holes in history that the removal of some events makes, or makes larger.
    ///
    /// - Parameter offsets: Events in history, ascending.
    func holes(without offsets: [UInt64]) -> [ClosedRange<UInt64>] {
        let removed = Set(offsets)
        var holes: [ClosedRange<UInt64>] = []
        for offset in offsets where holes.last.map({ $0.upperBound < offset }) ?? true {
            // Tags of events in front of history may be left.
            let start = max(origin, topics.last(upTo: offset - 1).map { $0 + 1 } ?? origin)
            var next = topics.first(from: offset + 1)
            while let live = next, removed.contains(live) { next = topics.first(from: live + 1) }
            holes.append(start...(next ?? last + 1) - 1)
        }
        return holes
    }

    /// The first event in history in a range.
    func firstEvent(in range: Range<UInt64>) -> UInt64? {
        let offset = max(first, range.lowerBound)
        if !mayHaveHoles { return offset < range.upperBound && offset <= last ? offset : nil }
        return topics.first(from: offset).flatMap { $0 < range.upperBound ? $0 : nil }
    }

    /// The last event in history up to an offset.
    func lastEvent(upTo offset: UInt64) -> UInt64? {
        guard count > 0, offset >= first else { return nil }
        return mayHaveHoles ? topics.last(upTo: offset) : min(offset, last)
    }

    func contains(_ offset: UInt64) -> Bool { firstEvent(in: offset..<offset + 1) != nil }

    func isLeaving(_ offset: UInt64) -> Bool { offset <= leaving || leavingSome.contains(offset) }

    /// Where to stop so as to examine a number of events.
    func stop(after count: Int, from offset: UInt64) -> UInt64 {
        mayHaveHoles ? topics.offset(ofNumber: count, from: offset) ?? last : offset + UInt64(count) - 1
    }

    /// Whether the event at an offset may have one of these topics; `nil` for any topic.
    func mayBeSelected(_ tags: Set<TopicColumn.Tag>?, at offset: UInt64) -> Bool {
        guard let tags, (first...last).contains(offset) else { return true }
        return !topics.find(tags, in: offset...offset, atMost: 1).isEmpty
    }

    /// Whether retention removed a selected event after an offset, in front of all that is in history.
    func isTrimmed(_ selection: Selection?, after offset: UInt64) -> Bool {
        guard offset + 1 < first else { return false }
        return selection.map { trimmed.contains($0, after: offset) } ?? true
    }

    /// Whether the newest removed event of a selected topic is among these.
    func isTrimmed(_ selection: Selection?, in offsets: ClosedRange<UInt64>) -> Bool {
        guard offsets.lowerBound <= lastRemoved else { return false }
        return selection.map { trimmed.contains($0, in: offsets) } ?? true
    }
}

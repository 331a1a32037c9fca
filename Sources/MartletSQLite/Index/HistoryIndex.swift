// SPDX-License-Identifier: Apache-2.0

import Martlet

/// The index in memory of the events in the file. A value.
///
/// It takes 4 bytes for each event, 20 for each publisher's id and each idempotency key, and the memory of
/// ``TrimmedTopics``.
struct HistoryIndex {
    /// The offset of the oldest event, or of the next one if there is none.
    private(set) var first: UInt64
    private(set) var last: UInt64
    /// Events up to here are being removed at this moment, and may no longer be in the file; 0 for none.
    var leaving: UInt64 = 0
    /// As retention counts.
    private(set) var byteCount = 0
    /// The time of the newest event that there ever was; 0 for none.
    private(set) var time: Int64
    /// The oldest event is not older than this; `nil` if there is none.
    private(set) var oldest: Int64?
    private(set) var topics: TopicColumn
    private(set) var ids = OffsetTable()
    private(set) var publishes = OffsetTable()
    private(set) var trimmed: TrimmedTopics
    /// The time of the newest event that was removed; `nil` if none was.
    private(set) var trimmedTime: Int64?

    /// - Parameter first: The offset of the first event in history, or of the next one.
    init(from first: UInt64, trimmed: TrimmedTopics, trimmedTime: Int64?) {
        self.first = first
        last = first - 1
        topics = TopicColumn(from: first)
        self.trimmed = trimmed
        self.trimmedTime = trimmedTime
        time = trimmedTime ?? 0
    }

    var count: Int { Int(last + 1 - first) }

    mutating func append(_ row: EventRow) {
        last = row.offset
        time = row.time
        if oldest == nil { oldest = row.time }
        byteCount += row.event.byteCount
        topics.append(row.event)
        if let id = row.event.id { ids.append(id, at: row.offset) }
        if let publish = row.publish { publishes.append(publish.key, at: row.offset) }
    }

    mutating func remove(_ removal: Removal) {
        first = removal.last + 1
        leaving = 0
        byteCount -= removal.byteCount
        oldest = count == 0 ? nil : removal.oldestLeft
        topics.removeFirst(through: removal.last)
        ids.removeFirst(through: removal.last)
        publishes.removeFirst(through: removal.last)
        for event in removal.events { trimmed.insert(event.event, at: event.offset) }
        trimmedTime = removal.time ?? trimmedTime
    }

    /// Whether the event at an offset may have one of these topics; `nil` for any topic.
    func mayBeSelected(_ tags: Set<TopicColumn.Tag>?, at offset: UInt64) -> Bool {
        guard let tags, (first...last).contains(offset) else { return true }
        return !topics.find(tags, in: offset...offset, atMost: 1).isEmpty
    }

    /// Whether retention removed a selected event after an offset.
    func isTrimmed(_ selection: Selection?, after offset: UInt64) -> Bool {
        guard offset + 1 < first else { return false }
        return selection.map { trimmed.contains($0, after: offset) } ?? true
    }
}

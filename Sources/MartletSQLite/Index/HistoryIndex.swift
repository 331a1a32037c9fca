// SPDX-License-Identifier: Apache-2.0

import Martlet

/// What is known in memory of the events in the file: as much as is needed to find them. A value.
///
/// It takes 4 bytes for each event, 20 for each id that a publisher chose and for each idempotency key, and what
/// ``TrimmedTopics`` remembers.
struct HistoryIndex {
    /// The offset of the oldest event, or of the next one where there is none.
    private(set) var first: UInt64
    private(set) var last: UInt64
    /// Events up to here are being removed at this moment, and may not be in the file any more; 0: none are.
    var leaving: UInt64 = 0
    /// As retention counts.
    private(set) var byteCount = 0
    /// The time of the newest event that there ever was; 0 for none.
    private(set) var time: Int64
    /// A time that the oldest event is not older than; `nil` where there is none.
    private(set) var oldest: Int64?
    private(set) var topics: TopicColumn
    private(set) var ids = OffsetTable()
    private(set) var publishes = OffsetTable()
    private(set) var trimmed: TrimmedTopics
    /// The time of the newest event that was removed; `nil`: none was.
    private(set) var trimmedTime: Int64?

    /// - Parameter first: The offset of the first event that is in history or will be.
    init(from first: UInt64, trimmed: TrimmedTopics, trimmedTime: Int64?) {
        self.first = first
        last = first - 1
        topics = TopicColumn(from: first)
        self.trimmed = trimmed
        self.trimmedTime = trimmedTime
        time = trimmedTime ?? 0
    }

    var count: Int { Int(last + 1 - first) }

    /// The newest event.
    mutating func append(_ row: EventRow) {
        last = row.offset
        time = row.time
        if oldest == nil { oldest = row.time }
        byteCount += row.event.byteCount
        topics.append(row.event)
        if let id = row.event.id { ids.append(id, at: row.offset) }
        if let publish = row.publish { publishes.append(publish.key, at: row.offset) }
    }

    /// The oldest events were removed.
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

    /// Whether the event at an offset may be of one of these topics; of any, where none are given.
    func mayBeSelected(_ tags: Set<TopicColumn.Tag>?, at offset: UInt64) -> Bool {
        guard let tags, (first...last).contains(offset) else { return true }
        return !topics.find(tags, in: offset...offset, atMost: 1).isEmpty
    }

    /// Whether something selected is no longer there that came after an offset.
    func isTrimmed(_ selection: Selection?, after offset: UInt64) -> Bool {
        guard offset + 1 < first else { return false }
        return selection.map { trimmed.contains($0, after: offset) } ?? true
    }
}

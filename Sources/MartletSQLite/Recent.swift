// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Martlet

/// The events that were accepted and that the tail has not been given yet: so that what is live is not read from the file.
/// Their bytes are bounded, since publishers wait when there are many.
struct Recent {
    private var records: Deque<Record> = []
    private(set) var byteCount = 0
    /// The offset of the newest event that the tail has been given.
    private(set) var start: UInt64

    init(behind offset: UInt64 = 0) { start = offset }

    var isEmpty: Bool { records.isEmpty }

    mutating func append(_ event: Event, at position: Position) {
        records.append(Record(position: position, event: event))
        byteCount += event.byteCount
    }

    /// Forgets events up to an offset, which the tail does not want.
    mutating func drop(through offset: UInt64) {
        while start < offset, let record = records.popFirst() {
            byteCount -= record.event.byteCount
            start += 1
        }
    }

    /// Takes out what comes next.
    mutating func take(_ limit: SliceLimit, in history: History) -> Slice {
        var slice = Slice(records: [], end: history.position(start), isComplete: true)
        var bytes = 0
        while let record = records.first {
            let size = record.event.byteCount
            guard limit.admits(size, behind: slice.records.count, of: bytes) else {
                slice.isComplete = false
                break
            }
            bytes += size
            records.removeFirst()
            byteCount -= size
            start += 1
            slice.end = record.position
            slice.records.append(record)
        }
        return slice
    }
}

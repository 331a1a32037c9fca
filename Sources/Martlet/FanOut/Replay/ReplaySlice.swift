// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import NIOCore
import Synchronization

/// Some of history as it is written to a connection, encoded once and shared by all requesters. If it may be kept for those
/// whose sockets are full, it counts for the budget until the last of them lets go of it.
final class ReplaySlice: Sendable {
    private struct Block {
        /// Where the block ends among the bytes.
        var end: Int
        /// Where a reader stands that has received it.
        var position: Position
    }

    /// One block after the other.
    let bytes: [UInt8]
    private let blocks: [Block]
    /// Where a reader stands that has received all of it.
    let end: Cursor
    /// Not `nil`: something is lost, and the reader has to be told before all else.
    let gap: Gap?
    private let budget: ReplayBudget?

    /// - Parameter budget: `nil`: it is not kept for a socket that is full.
    init(_ slice: Slice, for request: Replayer.Request, within budget: ReplayBudget?) {
        var bytes: [UInt8] = []
        var blocks: [Block] = []
        blocks.reserveCapacity(slice.records.count)
        for record in slice.records where request.hasControls || !record.event.isControl {
            bytes += WireBytes(record).framed(as: request.framing).readableBytesView
            blocks.append(Block(end: bytes.count, position: record.position))
        }
        self.bytes = bytes
        self.blocks = blocks
        self.end = slice.isComplete ? .at(request.through) : .after(slice.end)
        self.gap = slice.gap.map { Gap(reason: slice.gapReason, from: $0) }
        self.budget = budget
        budget?.add(byteCount)
    }

    deinit { budget?.subtract(byteCount) }

    /// Whether it may be kept for a subscriber that cannot take it now.
    var mayBeKept: Bool { budget?.hasRoom ?? false }

    /// Its size in the budget.
    var byteCount: Int { bytes.count + blocks.count * MemoryLayout<Block>.stride }

    /// How many blocks are complete in so many of the bytes.
    func count(in length: Int) -> Int { blocks.partitioningIndex { $0.end > length } }

    /// Where a reader stands that has received so many blocks, at least one.
    func cursor(after count: Int) -> Cursor { count == blocks.count ? end : .after(blocks[count - 1].position) }

    /// Where a number of blocks ends among the bytes.
    func length(of count: Int) -> Int { count == 0 ? 0 : blocks[count - 1].end }

    /// The bytes from somewhere up to where a number of blocks ends, as a copy that does not keep the slice.
    func bytes(from offset: Int, through count: Int) -> ByteBuffer {
        ByteBuffer(bytes: bytes[offset..<length(of: count)])
    }
}

extension [Record] {
    /// The events without those that a later one replaces, in topics of which only the newest value of a key counts.
    func conflated(where isConflated: (Topic) -> Bool) -> [Record] {
        guard contains(where: { $0.event.key != nil }) else { return self }
        var newest: [EventKey: Event] = [:]
        var kept: [Record] = []
        for record in reversed() {
            if let name = EventKey(record.event), isConflated(record.event.topic) {
                if let newer = newest[name], newer.replaces(record.event) { continue }
                newest[name] = record.event
            }
            kept.append(record)
        }
        return kept.reversed()
    }
}

/// Counts the bytes of history that are in memory, on their way to subscribers that catch up.
///
/// Part of the capacity is for the slices that are being read and handed over, of which there are only so many. The rest
/// is for those that are kept for subscribers whose sockets are full. A subscriber that finds no room reads again later.
final class ReplayBudget: Sendable {
    /// The most that may be kept; below it there is room.
    private let most: Int
    private let held = Atomic(0)

    /// - Parameters:
    ///   - capacity: The most bytes in memory.
    ///   - reserve: How many of them are for slices that are on their way.
    init(capacity: Int, reserve: Int) { most = capacity - reserve }

    /// How many bytes are in memory.
    var byteCount: Int { held.load(ordering: .relaxed) }

    /// Whether a slice may be kept for a subscriber that cannot take it now. It counts already.
    ///
    /// Several threads may ask at the same time; each counts what the others keep.
    var hasRoom: Bool { byteCount <= most }

    func add(_ count: Int) { held.add(count, ordering: .relaxed) }

    func subtract(_ count: Int) { held.subtract(count, ordering: .relaxed) }
}

// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Some of history as it is written to a connection, encoded once and shared by all who asked for it. It counts for the
/// budget until the last of them lets go of it.
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
    private let budget: ReplayBudget

    init(_ slice: Slice, for request: Replayer.Request, within budget: ReplayBudget) {
        var bytes: [UInt8] = []
        var blocks: [Block] = []
        blocks.reserveCapacity(slice.records.count)
        for record in slice.records {
            bytes += WireBytes(record).framed(as: request.framing).readableBytesView
            blocks.append(Block(end: bytes.count, position: record.position))
        }
        self.bytes = bytes
        self.blocks = blocks
        self.end = slice.isComplete ? .at(request.through) : .after(slice.end)
        self.gap = slice.gap.map { Gap(reason: slice.gapReason, from: $0) }
        self.budget = budget
        budget.add(byteCount)
    }

    deinit { budget.subtract(byteCount) }

    /// What it counts for.
    var byteCount: Int { bytes.count + blocks.count * MemoryLayout<Block>.stride }

    /// How many blocks are complete in so many of the bytes.
    func count(in length: Int) -> Int {
        var low = 0
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle].end <= length { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Where a reader stands that has received so many blocks, at least one.
    func cursor(after count: Int) -> Cursor { count == blocks.count ? end : .after(blocks[count - 1].position) }

    /// Where a number of blocks ends among the bytes.
    func length(of count: Int) -> Int { count == 0 ? 0 : blocks[count - 1].end }

    /// The bytes from somewhere up to where a number of blocks ends, as a copy that does not keep the slice.
    func bytes(from offset: Int, through count: Int) -> ByteBuffer {
        ByteBuffer(bytes: bytes[offset..<length(of: count)])
    }
}

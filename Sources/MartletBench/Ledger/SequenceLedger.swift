// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Which events of a numbered sequence a subscriber has received.
///
/// Memory is bounded: at most ``mostGaps`` runs of missing events are kept. If there are more, the oldest is written off:
/// its events count as lost, and one that still arrives counts as a duplicate.
struct SequenceLedger: Sendable {
    enum Arrival: Equatable, Sendable {
        /// After all events before.
        case next
        /// For the first time, but after a later event.
        case outOfOrder
        case duplicate
    }

    static let mostGaps = 1024

    /// The number after the latest received.
    private(set) var end: UInt64 = 0
    /// The runs of missing numbers below `end`, in order.
    private var gaps: [Range<UInt64>] = []
    /// The count of numbers that are written off.
    private var writtenOff = 0

    mutating func record(_ sequence: UInt64) -> Arrival {
        if sequence >= end {
            if sequence > end { addGap(end..<sequence) }
            end = sequence + 1
            return .next
        }
        guard let index = gaps.lastIndex(where: { $0.contains(sequence) }) else { return .duplicate }
        let gap = gaps.remove(at: index)
        let rest = [gap.lowerBound..<sequence, sequence + 1..<gap.upperBound].filter { !$0.isEmpty }
        gaps.insert(contentsOf: rest, at: index)
        writeOffOldest()
        return .outOfOrder
    }

    /// How many events have not been received.
    ///
    /// - Parameters:
    ///   - total: Only events below this number can be missing; `nil`: only those before the latest received.
    ///   - excluded: Numbers that do not count as missing, in order.
    func missing(of total: UInt64?, except excluded: [UInt64]) -> Int {
        var ranges = gaps
        if let total, total > end { ranges.append(end..<total) }
        return ranges.reduce(writtenOff) { sum, range in
            let lower = excluded.partitioningIndex { $0 >= range.lowerBound }
            let upper = excluded.partitioningIndex { $0 >= range.upperBound }
            return sum + range.count - (upper - lower)
        }
    }

    private mutating func addGap(_ gap: Range<UInt64>) {
        gaps.append(gap)
        writeOffOldest()
    }

    private mutating func writeOffOldest() {
        if gaps.count > Self.mostGaps { writtenOff += gaps.removeFirst().count }
    }
}

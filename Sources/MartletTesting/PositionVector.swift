// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// A position of a ``VectorLog``: how many events of each of its partitions a reader has.
struct PositionVector: Hashable, Sendable {
    private var counts: SIMD2<UInt64>

    static let zero = PositionVector(counts: .zero)

    private init(counts: SIMD2<UInt64>) { self.counts = counts }

    /// The vector that a text such as `3.5` stands for. There is one text for each vector, so `03.5` is none.
    init?(_ text: String) {
        guard let (first, second) = text.cutExactly(at: UInt8(ascii: ".")), let first = UInt64(first),
            let second = UInt64(second)
        else { return nil }
        self.init(counts: SIMD2(first, second))
        guard self.text.isExactly(text) else { return nil }
    }

    var text: String { "\(counts[0]).\(counts[1])" }
    var position: Position { Position(checked: text) }

    subscript(partition: VectorLog.Partition) -> UInt64 {
        get { counts[partition.rawValue] }
        set { counts[partition.rawValue] = newValue }
    }

    func covers(_ other: PositionVector) -> Bool { all(counts .>= other.counts) }

    /// The least that covers both.
    func union(_ other: PositionVector) -> PositionVector {
        PositionVector(counts: pointwiseMax(counts, other.counts))
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How often which times occurred, in fixed memory.
///
/// Each power of two is divided into 64 buckets of the same width, so that a percentile is off by at most 0.8 %. Times below
/// 128 ns and the greatest time are exact.
struct LatencyHistogram: Equatable, Sendable {
    private static let precision = 6
    private static let bucketCount = (64 - precision) << precision + 1 << precision

    private var buckets = [UInt64](repeating: 0, count: bucketCount)
    private(set) var count: UInt64 = 0
    /// The greatest time in nanoseconds; 0 if there is none.
    private(set) var maximum: UInt64 = 0

    mutating func record(_ nanoseconds: UInt64) {
        buckets[Self.index(of: nanoseconds)] += 1
        count += 1
        maximum = max(maximum, nanoseconds)
    }

    /// The time in nanoseconds that this share of the times, from 0 to 1, does not exceed; nil if there are no times.
    func percentile(_ share: Double) -> UInt64? {
        guard count > 0 else { return nil }
        let rank = UInt64((share * Double(count)).rounded(.up))
        var seen: UInt64 = 0
        for (index, count) in buckets.enumerated() {
            seen += count
            if count > 0, seen >= rank { return min(Self.middle(of: index), maximum) }
        }
        return maximum
    }

    private static func index(of value: UInt64) -> Int {
        let shift = max(UInt64.bitWidth - value.leadingZeroBitCount - 1 - precision, 0)
        return shift << precision + Int(value >> UInt64(shift))
    }

    private static func middle(of index: Int) -> UInt64 {
        let shift = UInt64(max(index >> precision - 1, 0))
        let low = UInt64(index) - shift << UInt64(precision)
        return low << shift + (1 << shift) / 2
    }
}

// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Synchronization

/// How many values were recorded up to each bound, and their sum. Values that are not finite are ignored, as no sum
/// would be left of them; times below zero, which clocks of two machines may give, count as zero.
final class HistogramSeries: Series, RecorderHandler, TimerHandler {
    /// An array cannot hold what cannot be copied, so each is an object.
    private final class Bucket: Sendable {
        let count = Atomic<UInt64>(0)
    }

    static let type = MetricType.histogram

    let family: String
    let labels: LabelSet
    private let bounds: [Double]
    /// One for each bound, and one for what is over the last; not cumulative.
    private let buckets: [Bucket]
    private let sum = Atomic<Double>(0)

    init(family: String, labels: LabelSet, bounds: [Double]) {
        self.family = family
        self.labels = labels
        self.bounds = bounds
        self.buckets = (0...bounds.count).map { _ in Bucket() }
    }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        let index = bounds.firstIndex { value <= $0 } ?? bounds.count
        buckets[index].count.wrappingAdd(1, ordering: .relaxed)
        sum.add(value)
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(max(0, duration)) / 1e9) }

    func write(to text: inout String) {
        let labels = labels.text
        let prefix = labels.isEmpty ? "" : "\(labels),"
        var count: UInt64 = 0
        for (bound, bucket) in zip(bounds + [.infinity], buckets) {
            count &+= bucket.count.load(ordering: .relaxed)
            let le = "le=\"\(Exposition.number(bound))\""
            Exposition.write("\(family)_bucket", prefix + le, "\(count)", to: &text)
        }
        Exposition.write("\(family)_sum", labels, Exposition.number(sum.load(ordering: .relaxed)), to: &text)
        Exposition.write("\(family)_count", labels, "\(count)", to: &text)
    }
}

// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Synchronization

/// The handler of one metric: takes the recorded values, and writes their lines.
protocol Series: AnyObject, Sendable {
    static var type: MetricType { get }

    /// The name of the family.
    var family: String { get }
    var labels: LabelSet { get }

    /// - Parameter bounds: The bounds of the buckets of a histogram, ascending and finite. Other types ignore them.
    init(family: String, labels: LabelSet, bounds: [Double])

    func write(to text: inout String)
}

/// A sum that only grows. It ignores amounts that are not positive or not finite.
final class CounterSeries: Series, CounterHandler, FloatingPointCounterHandler {
    static let type = MetricType.counter

    let family: String
    let labels: LabelSet
    /// The sum of the integers. A `Double` would lose small ones once it is large.
    private let integers = Atomic<UInt64>(0)
    private let others = Atomic<Double>(0)

    init(family: String, labels: LabelSet, bounds: [Double] = []) {
        self.family = family
        self.labels = labels
    }

    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        integers.wrappingAdd(UInt64(amount), ordering: .relaxed)
    }

    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        others.add(amount)
    }

    func reset() {
        integers.store(0, ordering: .relaxed)
        others.store(0, ordering: .relaxed)
    }

    func write(to text: inout String) {
        let integers = integers.load(ordering: .relaxed)
        let others = others.load(ordering: .relaxed)
        let value = others == 0 ? "\(integers)" : Exposition.number(Double(integers) + others)
        Exposition.write(family, labels.text, value, to: &text)
    }
}

/// A value that goes up and down. It can be set to any value, and ignores amounts that are not finite.
final class GaugeSeries: Series, MeterHandler, RecorderHandler {
    static let type = MetricType.gauge

    let family: String
    let labels: LabelSet
    private let value = Atomic<Double>(0)

    init(family: String, labels: LabelSet, bounds: [Double]) {
        self.family = family
        self.labels = labels
    }

    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { self.value.store(value, ordering: .relaxed) }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }

    func increment(by amount: Double) {
        guard amount.isFinite else { return }
        value.add(amount)
    }

    func decrement(by amount: Double) { increment(by: -amount) }

    func write(to text: inout String) {
        Exposition.write(family, labels.text, Exposition.number(value.load(ordering: .relaxed)), to: &text)
    }
}

/// The number of recorded values up to each bound, and their sum. It ignores values that are not finite, because they
/// would spoil the sum. Negative times, which can come from the clocks of two machines, count as zero.
final class HistogramSeries: Series, RecorderHandler, TimerHandler {
    /// An array cannot contain noncopyable values, so each is an object.
    private final class Bucket: Sendable {
        let count = Atomic<UInt64>(0)
    }

    static let type = MetricType.histogram

    let family: String
    let labels: LabelSet
    private let bounds: [Double]
    /// One for each bound, and one for values over the last; not cumulative.
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

extension Atomic where Value == Double {
    /// Adds without a lock, and tries again if another thread has changed the value meanwhile.
    func add(_ amount: Double) {
        var old = load(ordering: .relaxed)
        while true {
            let (isDone, current) = weakCompareExchange(expected: old, desired: old + amount, ordering: .relaxed)
            if isDone { return }
            old = current
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Synchronization

/// A sum that only grows. Amounts that are not positive, or not finite, are ignored.
final class CounterSeries: Series, CounterHandler, FloatingPointCounterHandler {
    static let type = MetricType.counter

    let family: String
    let labels: LabelSet
    /// The sum of the integers, of which a `Double` would lose some when it is large.
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

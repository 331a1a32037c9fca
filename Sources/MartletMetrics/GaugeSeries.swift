// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Synchronization

/// A value that goes up and down. It may be set to what is not finite; by an amount that is not finite it does not
/// change.
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

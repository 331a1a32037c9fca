// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Martlet
import Metrics

/// The metrics of hooks. None has a topic as a label.
struct HookMetrics: Sendable {
    private let delivered: Counter
    private let dropped: Counter
    private let failures: Counter
    private let waiting: Gauge
    private let occupied: Gauge

    init(_ factory: any MetricsFactory) {
        delivered = Counter(label: "martlet_hooks_delivered", dimensions: [], factory: factory)
        dropped = Counter(label: "martlet_hooks_dropped", dimensions: [], factory: factory)
        failures = Counter(label: "martlet_hook_requests_failed", dimensions: [], factory: factory)
        waiting = Gauge(label: "martlet_hooks_waiting", dimensions: [], factory: factory)
        occupied = Gauge(label: "martlet_topics_occupied", dimensions: [], factory: factory)
    }

    func delivered(_ count: Int) { delivered.increment(by: count) }
    func dropped(_ count: Int) { dropped.increment(by: count) }
    func failed() { failures.increment() }

    func record(occupied: Int, waiting: Int) {
        self.occupied.record(occupied)
        self.waiting.record(waiting)
    }
}

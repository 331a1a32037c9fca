// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Synchronization

/// How a node does with a log on a server.
struct LogMetrics: Sendable {
    private let isReachable: Gauge
    private let lag: Gauge
    private let losses: Counter
    private let skipped: Counter

    init(_ factory: any MetricsFactory) {
        isReachable = Gauge(label: "martlet_log_reachable", dimensions: [], factory: factory)
        lag = Gauge(label: "martlet_log_lag_seconds", dimensions: [], factory: factory)
        losses = Counter(label: "martlet_log_losses", dimensions: [], factory: factory)
        skipped = Counter(label: "martlet_log_entries_skipped", dimensions: [], factory: factory)
    }

    func record(_ health: SharedLogHealth, before: SharedLogHealth?) {
        isReachable.record(health.isReachable ? 1 : 0)
        lag.record(health.lag / .seconds(1))
        losses.increment(by: health.losses - (before?.losses ?? 0))
        skipped.increment(by: health.skipped - (before?.skipped ?? 0))
    }
}

/// How much history a log in this process has.
struct HistoryMetrics: Sendable {
    private let events: Gauge
    private let bytes: Gauge

    init(_ factory: any MetricsFactory) {
        events = Gauge(label: "martlet_history_events", dimensions: [], factory: factory)
        bytes = Gauge(label: "martlet_history_bytes", dimensions: [], factory: factory)
    }

    func record(_ size: (events: Int, bytes: Int)) {
        events.record(size.events)
        bytes.record(size.bytes)
    }
}

/// Refused requests by their status and reason. The reasons are words of the program, and never of a client.
final class RefusalMetrics: Sendable {
    private struct Refusal: Hashable {
        let status: Int
        let reason: String
    }

    /// The most series. Further reasons are counted as `other`.
    private static let mostSeries = 100

    private let factory: any MetricsFactory
    private let counters: Mutex<[Refusal: Counter]>

    init(_ factory: any MetricsFactory) {
        self.factory = factory
        // A rate needs a first sample from before the first refusal.
        let common = [
            Refusal(status: 400, reason: "bad_request"), Refusal(status: 401, reason: "unauthorized"),
            Refusal(status: 403, reason: "forbidden"), Refusal(status: 404, reason: "not_found"),
            Refusal(status: 413, reason: "too_large"), Refusal(status: 503, reason: "overloaded"),
        ]
        let counters = common.map { ($0, Self.counter(of: $0, factory)) }
        self.counters = Mutex(Dictionary(uniqueKeysWithValues: counters))
    }

    func add(status: Int, reason: String) {
        let counter = counters.withLock { counters in
            var refusal = Refusal(status: status, reason: reason)
            if counters[refusal] == nil, counters.count >= Self.mostSeries {
                refusal = Refusal(status: 0, reason: "other")
            }
            if let counter = counters[refusal] { return counter }
            let counter = Self.counter(of: refusal, factory)
            counters[refusal] = counter
            return counter
        }
        counter.increment()
    }

    private static func counter(of refusal: Refusal, _ factory: any MetricsFactory) -> Counter {
        Counter(
            label: "martlet_refusals", dimensions: [("status", "\(refusal.status)"), ("reason", refusal.reason)],
            factory: factory)
    }
}

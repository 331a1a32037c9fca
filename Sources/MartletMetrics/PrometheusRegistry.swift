// SPDX-License-Identifier: Apache-2.0

public import CoreMetrics
import Synchronization

/// Keeps what a process measures through swift-metrics, and writes it for Prometheus to scrape.
///
/// | Made as | Scraped as |
/// | --- | --- |
/// | `Counter`, `FloatingPointCounter` | counter; the name ends in `_total` |
/// | `Meter`, `Gauge`, `Recorder` that does not aggregate | gauge |
/// | `Recorder` that aggregates | histogram |
/// | `Timer` | histogram in seconds; the name ends in `_seconds` |
///
/// Names are the labels of swift-metrics with `_` for what Prometheus does not allow in a name, dimensions are labels.
/// A dimension without a value is left out: to Prometheus that is the same. Metrics of the same name and dimensions, in
/// whatever order, are one series and share a handler; the first that is destroyed takes it from the exposition.
///
/// A metric that would break a bound or the exposition is dropped: what is recorded to it goes nowhere, and the counter
/// `martlet_metrics_dropped_total` counts it each time it is made. That is one
///
/// - past the most series,
/// - whose name, or a name that its samples have, is in use by a metric of another type,
/// - that has the same dimension twice, or a dimension `le` where it is a histogram.
///
/// Ignored are amounts of a counter that are not positive, and whatever is not finite except what a gauge is set to. A
/// time below zero counts as zero.
///
/// All methods may be called from anywhere, at the same time. Recording takes no lock.
public final class PrometheusRegistry: MetricsFactory {
    /// What ``render()`` returns, as a `Content-Type`.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private let buckets: [String: [Double]]
    private let help: [String: String]
    private let dropped: CounterSeries
    private let families: Mutex<Families>
    private let collectors = Mutex<[@Sendable () -> Void]>([])

    /// - Parameters:
    ///   - maximumSeries: The most series. A histogram counts as one, the counter of what was dropped as none.
    ///   - buckets: The bounds of histograms, by the label of the metric, in any order; of timers in seconds. What is
    ///     not finite is left out. Other histograms have those of ``HistogramBuckets``.
    ///   - help: What metrics mean, by the label of the metric.
    ///
    /// A label is what the metric is made with. Metrics of one name have the bounds and the help of the first.
    public init(
        maximumSeries: Int = 10_000, buckets: [String: [Double]] = [:], help: [String: String] = [:]
    ) {
        self.buckets = buckets.mapValues { bounds in Set(bounds.filter(\.isFinite)).sorted() }
        self.help = help
        let dropped = CounterSeries(family: "martlet_metrics_dropped_total", labels: .none)
        self.dropped = dropped
        let meaning = "Metrics that were not kept: past the most series, or a name or labels that clash."
        self.families = Mutex(Families(maximumSeries: maximumSeries, reserved: dropped, help: meaning))
    }

    /// Has something called before each ``render()``, to set gauges to what is current.
    ///
    /// It is called by whoever renders, so maybe several times at once, and must not render itself. It is kept for as
    /// long as the registry.
    public func onCollect(_ body: @escaping @Sendable () -> Void) {
        collectors.withLock { $0.append(body) }
    }

    /// All series in the Prometheus text format 0.0.4, sorted by name and then by labels.
    ///
    /// What is recorded meanwhile may be missing, and the sum of a histogram may be ahead of its count or behind.
    ///
    /// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>
    public func render() -> String {
        for collect in collectors.withLock({ $0 }) { collect() }
        let families = families.withLock { $0 }
        var text = ""
        for family in families.sorted { family.write(to: &text) }
        return text
    }

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counter(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        counter(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        guard aggregate else { return gauge(label, dimensions) ?? NOOPMetricsHandler.instance }
        return histogram(label, "", dimensions, HistogramBuckets.sizes) ?? NOOPMetricsHandler.instance
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, "_seconds", dimensions, HistogramBuckets.durations) ?? NOOPMetricsHandler.instance
    }

    public func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
    public func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    public func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    public func destroyTimer(_ handler: any TimerHandler) { remove(handler) }

    private func counter(_ label: String, _ dimensions: [(String, String)]) -> CounterSeries? {
        series(label, "_total", dimensions)
    }

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeSeries? {
        series(label, "", dimensions)
    }

    private func histogram(
        _ label: String, _ suffix: String, _ dimensions: [(String, String)], _ bounds: [Double]
    ) -> HistogramSeries? {
        series(label, suffix, dimensions, bounds: buckets[label] ?? bounds)
    }

    private func series<S: Series>(
        _ label: String, _ suffix: String, _ dimensions: [(String, String)], bounds: [Double] = []
    ) -> S? {
        let name = Exposition.metricName(label, suffix: suffix)
        let family = Family(name: name, type: S.type, help: help[label], bounds: bounds)
        let labels = LabelSet(dimensions, isHistogram: S.type == .histogram)
        let series: S? = labels.flatMap { labels in families.withLock { $0.series(labels, of: family) } }
        if series == nil { dropped.increment(by: Int64(1)) }
        return series
    }

    private func remove(_ handler: AnyObject) {
        guard let series = handler as? any Series, series !== dropped else { return }
        families.withLock { $0.remove(series) }
    }
}

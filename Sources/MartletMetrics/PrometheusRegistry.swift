// SPDX-License-Identifier: Apache-2.0

public import CoreMetrics
import Synchronization

/// A backend of swift-metrics that Prometheus can scrape.
///
/// | created as | scraped as |
/// | --- | --- |
/// | `Counter`, `FloatingPointCounter` | counter; the name ends in `_total` |
/// | `Meter`, `Gauge`, `Recorder` that does not aggregate | gauge |
/// | `Recorder` that aggregates | histogram |
/// | `Timer` | histogram in seconds; the name ends in `_seconds` |
///
/// The names are the labels of swift-metrics, with `_` for characters that Prometheus does not allow; the labels are
/// the dimensions. A dimension without a value is left out, which means the same to Prometheus. Metrics with the same
/// name and dimensions are one series and share a handler; destroying one of them removes the series.
///
/// A metric that would exceed the bound or make the text invalid is dropped: its values are lost, and the counter
/// `martlet_metrics_dropped_total` counts it each time it is created. These are metrics
///
/// - beyond the maximum number of series,
/// - with a name, or the name of a sample, that a metric of another type uses,
/// - with the same dimension twice, or histograms with a dimension `le`.
///
/// Counters ignore amounts that are not positive. All types ignore values that are not finite, except that a gauge can
/// be set to one. A negative time counts as zero.
///
/// All methods may be called from anywhere, at the same time. Recording takes no lock. No method throws.
public final class PrometheusRegistry: MetricsFactory {
    /// The `Content-Type` of ``render()``.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private let buckets: [String: [Double]]
    private let help: [String: String]
    private let dropped: CounterSeries
    private let families: Mutex<Families>
    private let collectors = Mutex<[@Sendable () -> Void]>([])

    /// - Parameters:
    ///   - maximumSeries: The most series. A histogram counts as one, the counter of dropped metrics does not count.
    ///   - buckets: The bounds of histograms, by the label of the metric, in any order; for timers in seconds. Bounds
    ///     that are not finite are left out. Other histograms have the bounds of ``HistogramBuckets``.
    ///   - help: The meaning of metrics, by the label of the metric.
    ///
    /// The label is the one with which the metric is created. Metrics with the same name have the bounds and the help
    /// of the first.
    public init(
        maximumSeries: Int = 10_000, buckets: [String: [Double]] = [:], help: [String: String] = [:]
    ) {
        self.buckets = buckets.mapValues { bounds in Set(bounds.filter(\.isFinite)).sorted() }
        self.help = help
        let dropped = CounterSeries(family: "martlet_metrics_dropped_total", labels: .none)
        self.dropped = dropped
        let meaning = "Metrics that were not kept: beyond the maximum number of series, or a name or labels that clash."
        self.families = Mutex(Families(maximumSeries: maximumSeries, reserved: dropped, help: meaning))
    }

    /// Adds a closure that runs before each ``render()``, to set gauges to their current values.
    ///
    /// It runs in the caller of `render()`, so possibly several times at once, and must not call `render()`. The
    /// registry keeps it.
    public func onCollect(_ body: @escaping @Sendable () -> Void) {
        collectors.withLock { $0.append(body) }
    }

    /// All series in the Prometheus text format 0.0.4, sorted by name and then by labels.
    ///
    /// Values that are recorded meanwhile may be missing, and the sum of a histogram may not match its count.
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

/// The default upper bounds of histograms. A bound belongs to its bucket; values over the last bound count, too.
public enum HistogramBuckets {
    /// For timers, in seconds: 0.1 ms to 1 min.
    public static let durations: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    /// For recorders of bytes and counts: the powers of 4 up to 16 Mi.
    public static let sizes: [Double] = (0...12).map { Double(1 << (2 * $0)) }
}

// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import MartletMetrics
import TestSupport
import Testing

@Suite("Metrics that are dropped or destroyed", .timeLimit(.minutes(10)))
struct DroppingTests {
    private let registry = PrometheusRegistry()

    @Test("The registry keeps up to its maximum of series, and another one once one is destroyed")
    func maximumSeries() throws {
        let registry = PrometheusRegistry(maximumSeries: 3)
        let first = Counter(label: "c", factory: registry)
        Recorder(label: "h", factory: registry).record(1)
        Timer(label: "t", factory: registry).recordNanoseconds(1)
        #expect(try registry.droppedCount() == 0)
        let fourth = registry.makeMeter(label: "m", dimensions: [])
        fourth.set(Int64(1))
        #expect(fourth === NOOPMetricsHandler.instance)
        #expect(registry.makeCounter(label: "c", dimensions: [("d", "1")]) === NOOPMetricsHandler.instance)
        #expect(try registry.droppedCount() == 2)
        #expect(registry.makeCounter(label: "c", dimensions: []) !== NOOPMetricsHandler.instance)
        first.destroy()
        Meter(label: "m", factory: registry).set(2)
        let parsed = try registry.parsed()
        #expect(parsed.families.map(\.name) == ["h", "m", "martlet_metrics_dropped_total", "t_seconds"])
        #expect(parsed["m"] == 2)
        #expect(parsed["martlet_metrics_dropped_total"] == 2)
    }

    @Test("The default maximum is ten thousand series")
    func defaultMaximumSeries() throws {
        for index in 0...10_000 { _ = registry.makeCounter(label: "c", dimensions: [("i", "\(index)")]) }
        let parsed = try registry.parsed()
        #expect(parsed.samples.count == 10_001)
        #expect(parsed["martlet_metrics_dropped_total"] == 1)
    }

    @Test("A registry may keep no series at all")
    func noSeries() throws {
        let registry = PrometheusRegistry(maximumSeries: 0)
        Counter(label: "c", factory: registry).increment()
        #expect(registry.renderOthers() == "")
        #expect(try registry.droppedCount() == 1)
    }

    @Test("The first type of a name stays")
    func typeClash() throws {
        Counter(label: "x_total", factory: registry).increment()
        Meter(label: "x_total", factory: registry).set(7)
        Recorder(label: "x_total", dimensions: [("d", "1")], factory: registry).record(7)
        Meter(label: "y", factory: registry).set(1)
        Recorder(label: "y", factory: registry).record(7)
        let expected = "# TYPE x_total counter\nx_total 1\n# TYPE y gauge\ny 1\n"
        #expect(registry.renderOthers() == expected)
        #expect(try registry.droppedCount() == 3)
    }

    @Test("No gauge has the name that samples of a histogram have", arguments: ["sum", "count", "bucket"])
    func sampleNameClash(suffix: String) throws {
        Recorder(label: "h", factory: registry).record(1)
        Meter(label: "h_\(suffix)", factory: registry).set(7)
        Meter(label: "g_\(suffix)", factory: registry).set(1)
        Recorder(label: "g", factory: registry).record(7)
        let parsed = try registry.parsed()
        #expect(parsed.families.map(\.name) == ["g_\(suffix)", "h", "martlet_metrics_dropped_total"])
        #expect(parsed["martlet_metrics_dropped_total"] == 2)
    }

    @Test("A metric with a repeated or reserved dimension is dropped")
    func dimensions() throws {
        Counter(label: "c", dimensions: [("a.b", "1"), ("a_b", "2")], factory: registry).increment()
        Recorder(label: "h", dimensions: [("le", "1")], factory: registry).record(1)
        Timer(label: "t", dimensions: [("le", "1")], factory: registry).recordNanoseconds(1)
        #expect(registry.renderOthers() == "")
        #expect(try registry.droppedCount() == 3)
    }

    @Test("A destroyed metric of any type is gone, and its name is free")
    func destroying() throws {
        let counter = Counter(label: "c", factory: registry)
        let floating = FloatingPointCounter(label: "f", factory: registry)
        let meter = Meter(label: "m", factory: registry)
        let gauge = Gauge(label: "g", factory: registry)
        let recorder = Recorder(label: "r", factory: registry)
        let timer = Timer(label: "t", factory: registry)
        #expect(try registry.parsed().families.count == 7)
        counter.destroy()
        floating.destroy()
        meter.destroy()
        gauge.destroy()
        recorder.destroy()
        timer.destroy()
        #expect(registry.renderOthers() == "")
        Meter(label: "r_sum", factory: registry).set(1)
        Recorder(label: "m", factory: registry).record(1)
        #expect(try registry.parsed().families.map(\.name) == ["m", "martlet_metrics_dropped_total", "r_sum"])
        #expect(try registry.droppedCount() == 0)
    }

    @Test("Only the destroyed series is gone, and destroying it again does nothing")
    func destroyingTwice() throws {
        let one = Counter(label: "c", dimensions: [("d", "1")], factory: registry)
        Counter(label: "c", dimensions: [("d", "2")], factory: registry).increment(by: 2)
        one.destroy()
        #expect(registry.renderOthers() == "# TYPE c_total counter\nc_total{d=\"2\"} 2\n")
        Counter(label: "c", dimensions: [("d", "1")], factory: registry).increment()
        one.increment(by: 5)
        one.destroy()
        #expect(registry.renderOthers() == "# TYPE c_total counter\nc_total{d=\"1\"} 1\nc_total{d=\"2\"} 2\n")
    }

    @Test("Destroying a handler of another registry does nothing")
    func destroyingOthers() throws {
        Counter(label: "c", factory: registry).increment()
        registry.destroyCounter(PrometheusRegistry().makeCounter(label: "c", dimensions: []))
        registry.destroyCounter(NOOPMetricsHandler.instance)
        #expect(try registry.parsed()["c_total"] == 1)
    }

    @Test("The counter of dropped metrics stays")
    func destroyingDropped() throws {
        Counter(label: "martlet_metrics_dropped", factory: registry).destroy()
        Meter(label: "martlet_metrics_dropped_total", factory: registry).set(7)
        #expect(try registry.droppedCount() == 1)
    }

    @Test("The exposition is valid for any names")
    func anything() throws {
        let pieces = [
            "a", "b", "_", "__", ".", ":", "1", "le", "total", "_total", "_sum", "_count", "_bucket", "_seconds", "\"",
            "\\", "\n", "\r\n", "\\n", "{", "}", ",", "=", " ", "#", "é", "e\u{301}", "🐦", "\0", "\u{2028}",
        ]
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        func text() -> String {
            (0..<Int.random(in: 0...3, using: &random)).map { _ in pieces.randomElement(using: &random)! }.joined()
        }
        for _ in 0..<100 {
            let registry = PrometheusRegistry(
                maximumSeries: 50, buckets: ["a": [1]], help: Dictionary(pieces.map { ($0, text()) }) { $1 })
            for _ in 0..<100 {
                let dimensions = (0..<Int.random(in: 0...2, using: &random)).map { _ in (text(), text()) }
                switch Int.random(in: 0...5, using: &random) {
                case 0:
                    Counter(label: text(), dimensions: dimensions, factory: registry).increment()
                case 1:
                    FloatingPointCounter(label: text(), dimensions: dimensions, factory: registry).increment(by: 0.1)
                case 2:
                    Meter(label: text(), dimensions: dimensions, factory: registry).set(-1)
                case 3:
                    Recorder(label: text(), dimensions: dimensions, factory: registry).record(5)
                case 4:
                    Timer(label: text(), dimensions: dimensions, factory: registry).recordNanoseconds(5)
                default:
                    Gauge(label: text(), dimensions: dimensions, factory: registry).destroy()
                }
            }
            do {
                _ = try registry.parsed()
            } catch {
                Issue.record("seed \(seed): \(error)")
                return
            }
        }
    }
}

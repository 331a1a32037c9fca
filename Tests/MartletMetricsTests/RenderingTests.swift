// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import MartletMetrics
import Testing

@Suite("The text for Prometheus", .timeLimit(.minutes(10)))
struct RenderingTests {
    private let registry = PrometheusRegistry(
        buckets: ["lag": [0.5, 0.1], "size": [1, 10]], help: ["events": "Events that were accepted."])

    @Test("Without metrics, there is only the counter of dropped metrics")
    func empty() {
        let expected = """
            # HELP martlet_metrics_dropped_total Metrics that were not kept: beyond the maximum number of series, \
            or a name or labels that clash.
            # TYPE martlet_metrics_dropped_total counter
            martlet_metrics_dropped_total 0

            """
        #expect(registry.render() == expected)
        #expect(PrometheusRegistry.contentType == "text/plain; version=0.0.4; charset=utf-8")
    }

    @Test("Counters have _total once, and their help")
    func counters() {
        Counter(label: "events", factory: registry).increment(by: 3)
        Counter(label: "bytes_total", factory: registry).increment()
        FloatingPointCounter(label: "cpu", factory: registry).increment(by: 0.25)
        let expected = """
            # TYPE bytes_total counter
            bytes_total 1
            # TYPE cpu_total counter
            cpu_total 0.25
            # HELP events_total Events that were accepted.
            # TYPE events_total counter
            events_total 3

            """
        #expect(registry.renderOthers() == expected)
    }

    @Test("Meters, gauges and recorders that do not aggregate are gauges")
    func gauges() {
        let meter = Meter(label: "clients", factory: registry)
        meter.set(5)
        meter.increment(by: 2.5)
        meter.decrement()
        Gauge(label: "temperature", factory: registry).record(-40)
        let recorder = Recorder(label: "window", aggregate: false, factory: registry)
        recorder.record(1)
        recorder.record(2)
        let expected = """
            # TYPE clients gauge
            clients 6.5
            # TYPE temperature gauge
            temperature -40
            # TYPE window gauge
            window 2

            """
        #expect(registry.renderOthers() == expected)
    }

    @Test("Recorders are histograms whose buckets include their bounds")
    func recorders() {
        let recorder = Recorder(label: "size", dimensions: [("topic", "news")], factory: registry)
        for value in [0, 1, 1.5, 10, 10.5] { recorder.record(value) }
        let expected = """
            # TYPE size histogram
            size_bucket{topic="news",le="1"} 2
            size_bucket{topic="news",le="10"} 4
            size_bucket{topic="news",le="+Inf"} 5
            size_sum{topic="news"} 23
            size_count{topic="news"} 5

            """
        #expect(registry.renderOthers() == expected)
    }

    @Test("Timers are histograms in seconds, exact at their bounds")
    func timers() {
        let timer = Timer(label: "lag", factory: registry)
        for nanoseconds in [100_000_000, 100_000_001, 500_000_000, -7] { timer.recordNanoseconds(Int64(nanoseconds)) }
        let expected = """
            # TYPE lag_seconds histogram
            lag_seconds_bucket{le="0.1"} 2
            lag_seconds_bucket{le="0.5"} 4
            lag_seconds_bucket{le="+Inf"} 4
            lag_seconds_sum 0.700000001
            lag_seconds_count 4

            """
        #expect(registry.renderOthers() == expected)
    }

    @Test("Timers and recorders have different default bounds")
    func defaultBounds() throws {
        Timer(label: "wait", factory: registry).recordSeconds(61)
        Recorder(label: "depth", factory: registry).record(16_777_217)
        let parsed = try registry.parsed()
        for bound in HistogramBuckets.durations {
            #expect(parsed["wait_seconds_bucket", ["le": bound == bound.rounded() ? "\(Int(bound))" : "\(bound)"]] == 0)
        }
        for bound in HistogramBuckets.sizes { #expect(parsed["depth_bucket", ["le": "\(Int(bound))"]] == 0) }
        #expect(HistogramBuckets.durations == HistogramBuckets.durations.sorted())
        #expect(parsed["wait_seconds_count"] == 1)
        #expect(parsed["depth_sum"] == 16_777_217)
        #expect(parsed["depth_bucket", ["le": "+Inf"]] == 1)
        #expect(parsed.samples.count == 1 + (18 + 3) + (13 + 3))
    }

    @Test("Bounds are sorted, unique and finite")
    func givenBounds() {
        let bounds = [2, Double.infinity, 1, -.infinity, 2, .nan]
        let registry = PrometheusRegistry(buckets: ["size": bounds, "none": []])
        Recorder(label: "size", factory: registry).record(2)
        Recorder(label: "none", factory: registry).record(2)
        let expected = """
            # TYPE none histogram
            none_bucket{le="+Inf"} 1
            none_sum 2
            none_count 1
            # TYPE size histogram
            size_bucket{le="1"} 0
            size_bucket{le="2"} 1
            size_bucket{le="+Inf"} 1
            size_sum 2
            size_count 1

            """
        #expect(registry.renderOthers() == expected)
    }

    @Test("All histograms of a family have the bounds of the first")
    func sharedBounds() throws {
        Recorder(label: "lag_seconds", dimensions: [("shard", "1")], factory: registry).record(1)
        Timer(label: "lag", dimensions: [("shard", "2")], factory: registry).recordSeconds(1)
        let parsed = try registry.parsed()
        for bound in HistogramBuckets.sizes {
            let le = "\(Int(bound))"
            #expect(parsed["lag_seconds_bucket", ["shard": "1", "le": le]] == 1)
            #expect(parsed["lag_seconds_bucket", ["shard": "2", "le": le]] == 1)
        }
        #expect(parsed["lag_seconds_bucket", ["shard": "2", "le": "0.5"]] == nil)
    }

    @Test("All series of a family are one group, in whatever order they were created")
    func order() {
        Meter(label: "b", dimensions: [("shard", "2")], factory: registry).set(2)
        Meter(label: "a", factory: registry).set(1)
        Meter(label: "b", dimensions: [("shard", "1")], factory: registry).set(1)
        Meter(label: "b", factory: registry).set(0)
        let expected = """
            # TYPE a gauge
            a 1
            # TYPE b gauge
            b 0
            b{shard="1"} 1
            b{shard="2"} 2

            """
        #expect(registry.renderOthers() == expected)
        #expect(registry.renderOthers() == expected)
    }

    @Test("Backslashes, quotes and line feeds are escaped, also a line feed after a carriage return")
    func escaping() throws {
        let text = "a\\b\"c\nd\r\ne\\n 🐦"
        let registry = PrometheusRegistry(help: ["m": text])
        Meter(label: "m", dimensions: [("d", text)], factory: registry).set(1)
        let expected = """
            # HELP m a\\\\b"c\\nd\r\\ne\\\\n 🐦
            # TYPE m gauge
            m{d="a\\\\b\\"c\\nd\r\\ne\\\\n 🐦"} 1

            """
        #expect(registry.renderOthers() == expected)
        let parsed = try registry.parsed()
        #expect(parsed["m", ["d": text]] == 1)
        #expect(parsed.help["m"] == text)
    }

    @Test(
        "Names have only allowed characters",
        arguments: [
            ("http.requests-2", "http_requests_2"), ("2xx", "_2xx"), ("", "_"), ("a:b", "a:b"), ("größe", "gr__e"),
            ("a\r\nb", "a__b"), ("e\u{301}", "e_"), ("__m", "__m"),
        ])
    func names(label: String, name: String) throws {
        Meter(label: label, factory: registry).set(1)
        #expect(try registry.parsed()[name] == 1)
    }

    @Test(
        "Label names have only allowed characters, and none is reserved by Prometheus",
        arguments: [
            ("http.method", "http_method"), ("2", "_2"), ("", "_"), ("a:b", "a_b"), ("__name__", "_name__"),
            ("___", "_"), ("le", "le"), ("é", "_"),
        ])
    func labelNames(dimension: String, name: String) throws {
        Meter(label: "m", dimensions: [(dimension, "v")], factory: registry).set(1)
        #expect(try registry.parsed()["m", [name: "v"]] == 1)
    }

    @Test(
        "Numbers are written as Prometheus reads them",
        arguments: [
            (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (-0.0, "0"), (0.1, "0.1"), (1e-7, "1e-07"),
            (-1.5, "-1.5"), (123_456_789, "123456789"), (1e15, "1000000000000000"), (.leastNonzeroMagnitude, "5e-324"),
            (.greatestFiniteMagnitude, "1.7976931348623157e+308"), (1e19, "1e+19"), (-1e18, "-1000000000000000000"),
        ])
    func numbers(value: Double, text: String) {
        Meter(label: "m", factory: registry).set(value)
        #expect(registry.renderOthers() == "# TYPE m gauge\nm \(text)\n")
    }

    @Test("A gauge that is set while collecting is in the same exposition")
    func collecting() {
        let (registry, other) = (PrometheusRegistry(), PrometheusRegistry())
        registry.onCollect { [unowned registry] in Meter(label: "a", factory: registry).increment() }
        registry.onCollect { [unowned registry] in Meter(label: "b", factory: registry).increment(by: 2.0) }
        #expect(registry.renderOthers() == "# TYPE a gauge\na 1\n# TYPE b gauge\nb 2\n")
        #expect(registry.renderOthers() == "# TYPE a gauge\na 2\n# TYPE b gauge\nb 4\n")
        #expect(other.renderOthers() == "")
    }
}

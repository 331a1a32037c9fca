// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import MartletMetrics
import Testing

@Suite("Recording", .timeLimit(.minutes(10)))
struct RecordingTests {
    private let registry = PrometheusRegistry()

    @Test("Metrics of the same name and dimensions share a handler, whatever the order and the spelling")
    func sharing() throws {
        let dimensions = [("a", "1"), ("b.c", "2")]
        let counter = registry.makeCounter(label: "x.y", dimensions: dimensions)
        let same = registry.makeCounter(label: "x_y_total", dimensions: [("b_c", "2"), ("empty", ""), ("a", "1")])
        #expect(counter === same)
        #expect(registry.makeFloatingPointCounter(label: "x.y", dimensions: dimensions) === counter)
        #expect(registry.makeCounter(label: "x.y", dimensions: []) !== counter)
        let meter = registry.makeMeter(label: "m", dimensions: [])
        #expect(registry.makeRecorder(label: "m", dimensions: [], aggregate: false) === meter)
        let timer = registry.makeTimer(label: "t", dimensions: [])
        #expect(registry.makeTimer(label: "t_seconds", dimensions: []) === timer)
        #expect(try registry.droppedCount() == 0)
    }

    @Test("Two spellings of a text in Unicode are two series")
    func exactText() {
        let composed = registry.makeCounter(label: "c", dimensions: [("topic", "\u{E9}")])
        let decomposed = registry.makeCounter(label: "c", dimensions: [("topic", "e\u{301}")])
        #expect(composed !== decomposed)
    }

    @Test("A counter counts integers and fractions, exactly where there are no fractions")
    func counter() throws {
        let counter = Counter(label: "c", factory: registry)
        counter.increment(by: Int64(1) << 53)
        counter.increment()
        #expect(registry.renderOthers() == "# TYPE c_total counter\nc_total 9007199254740993\n")
        counter.reset()
        #expect(try registry.parsed()["c_total"] == 0)
        counter.increment(by: 2)
        FloatingPointCounter(label: "c", factory: registry).increment(by: 0.5)
        #expect(try registry.parsed()["c_total"] == 2.5)
    }

    @Test("A counter never goes down, and stays a number")
    func counterOnlyGrows() throws {
        let counter = FloatingPointCounter(label: "c", factory: registry)
        for amount in [1, -0.5, Double.nan, .infinity, -.infinity] { counter.increment(by: amount) }
        Counter(label: "c", factory: registry).increment(by: -1)
        #expect(try registry.parsed()["c_total"] == 1)
    }

    @Test("A gauge can be set to anything, and changes by numbers only")
    func gauge() throws {
        let meter = Meter(label: "m", factory: registry)
        meter.increment(by: 3.5)
        meter.decrement(by: 5.0)
        for amount in [Double.nan, .infinity, -.infinity] {
            meter.increment(by: amount)
            meter.decrement(by: amount)
        }
        #expect(try registry.parsed()["m"] == -1.5)
        meter.set(Double.infinity)
        #expect(try registry.parsed()["m"] == .infinity)
        meter.set(7)
        #expect(try registry.parsed()["m"] == 7)
    }

    @Test("A histogram ignores what would spoil its sum")
    func histogram() throws {
        let recorder = Recorder(label: "h", factory: registry)
        for value in [Double.nan, .infinity, -.infinity, -2, 3] { recorder.record(value) }
        recorder.record(4)
        let parsed = try registry.parsed()
        #expect(parsed["h_count"] == 3)
        #expect(parsed["h_sum"] == 5)
        #expect(parsed["h_bucket", ["le": "1"]] == 1)
        #expect(parsed["h_bucket", ["le": "4"]] == 3)
    }

    @Test("Values that many tasks record at the same time add up, and each exposition meanwhile is valid")
    func concurrency() async throws {
        let (tasks, rounds) = (16, 2_000)
        let registry = registry
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<tasks {
                group.addTask {
                    for round in 0..<rounds {
                        let shard = [("shard", "\(round % 4)")]
                        Counter(label: "c", dimensions: shard, factory: registry).increment()
                        FloatingPointCounter(label: "f", factory: registry).increment(by: 0.5)
                        Meter(label: "m", factory: registry).increment(by: 2.0)
                        Meter(label: "m", factory: registry).decrement()
                        Recorder(label: "r", factory: registry).record(round % 8)
                        Timer(label: "t", dimensions: shard, factory: registry).recordNanoseconds(500_000_000)
                        Counter(label: "brief", dimensions: [("task", "\(task)")], factory: registry).destroy()
                    }
                }
            }
            group.addTask { for _ in 0..<100 { _ = try registry.parsed() } }
            try await group.waitForAll()
        }
        let parsed = try registry.parsed()
        let total = Double(tasks * rounds)
        for shard in 0..<4 {
            #expect(parsed["c_total", ["shard": "\(shard)"]] == total / 4)
            #expect(parsed["t_seconds_count", ["shard": "\(shard)"]] == total / 4)
            #expect(parsed["t_seconds_sum", ["shard": "\(shard)"]] == total / 8)
        }
        #expect(parsed["f_total"] == total / 2)
        #expect(parsed["m"] == total)
        #expect(parsed["r_count"] == total)
        #expect(parsed["r_sum"] == total * 3.5)
        #expect(parsed["r_bucket", ["le": "1"]] == total / 4)
        #expect(!parsed.families.contains { $0.name == "brief_total" })
        #expect(parsed["martlet_metrics_dropped_total"] == 0)
    }
}

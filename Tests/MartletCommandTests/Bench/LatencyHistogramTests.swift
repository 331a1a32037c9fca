// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite("Latency histogram")
struct LatencyHistogramTests {
    @Test("Without times there are no percentiles")
    func empty() {
        #expect(LatencyHistogram().percentile(0.5) == nil)
        #expect(LatencyHistogram().maximum == 0)
    }

    @Test("A time comes back within 0.8 %", arguments: 0..<64)
    func precision(power: Int) throws {
        let smallest = UInt64(1) << UInt64(power)
        for value in [smallest, smallest + smallest / 3, smallest + (smallest - 1)] {
            var histogram = LatencyHistogram()
            histogram.record(value)
            histogram.record(.max)
            let found = try #require(histogram.percentile(0.5))
            let error = Double(found > value ? found - value : value - found) / Double(value)
            #expect(error <= 0.008, "\(value) came back as \(found)")
            if value < 128 { #expect(found == value) }
        }
    }

    @Test("Percentiles are those of the sorted times")
    func percentiles() throws {
        var histogram = LatencyHistogram()
        for value in (1...10_000).shuffled() { histogram.record(UInt64(value) * 1000) }
        for (share, expected) in [(0.0, 1e3), (0.5, 5e6), (0.9, 9e6), (0.99, 9.9e6), (0.999, 9.99e6)] {
            let found = Double(try #require(histogram.percentile(share)))
            #expect(abs(found - expected) <= expected * 0.01)
        }
        #expect(histogram.percentile(1) == 10_000_000)
        #expect(histogram.maximum == 10_000_000)
        #expect(histogram.count == 10_000)
    }

    @Test("No percentile exceeds the greatest time")
    func maximum() {
        var histogram = LatencyHistogram()
        histogram.record(1_000_001)
        #expect(histogram.percentile(0.99) == 1_000_001)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Histogram
import Testing

@testable import MartletBench

@Suite("Tally of a run")
struct BenchTallyTests {
    private var tally = BenchTally()
    private var ledger = SequenceLedger()

    private mutating func receive(
        _ mark: MarkScanner.Mark, at time: UInt64, published: BenchTally.Published? = (7, 10)
    ) {
        tally.receive(mark, at: time, published: published, ledger: &ledger)
    }

    private func event(_ sequence: UInt64, run: UInt32 = 7, sentAt: UInt64 = 0) -> MarkScanner.Mark {
        .event(EventMark(run: run, sequence: sequence, sentAt: sentAt))
    }

    @Test("Deliveries are those received while measuring, latencies those of what was sent then")
    mutating func measuring() {
        receive(event(0, sentAt: 90), at: 95)
        tally.beginMeasuring(at: 100)
        receive(event(1, sentAt: 99), at: 110)
        receive(event(2, sentAt: 100), at: 120)
        tally.endMeasuring(at: 200)
        receive(event(3, sentAt: 199), at: 299)
        receive(event(4, sentAt: 200), at: 299)
        #expect(tally.deliveries == 2)
        #expect(tally.latency.totalCount == 2)
        #expect(tally.latency.valueAtPercentile(50) == 20)
        #expect(tally.latency.maxRecorded == 100)
    }

    @Test("Duplicates and order are those of the whole run")
    mutating func faults() {
        for sequence: UInt64 in [0, 2, 1, 1, 5] { receive(event(sequence), at: 1) }
        #expect(tally.duplicated == 1)
        #expect(tally.outOfOrder == 1)
        #expect(ledger.missing(of: 6, except: []) == 2)
        #expect(tally.recognized == 5)
    }

    @Test("Numbers that were not published are the server's own, however large they are", arguments: [10, UInt64.max])
    mutating func madeUp(sequence: UInt64) {
        tally.beginMeasuring(at: 0)
        receive(event(sequence), at: 1)
        #expect(tally.deliveries == 1)
        #expect(tally.recognized == 0)
        #expect(ledger.end == 0)
    }

    @Test("Any time that a server makes up is no latency", arguments: [0, 99, 201, UInt64.max])
    mutating func madeUpTimes(sent: UInt64) {
        tally.beginMeasuring(at: 100)
        receive(event(0, sentAt: sent), at: 200)
        receive(.time(sent), at: 200, published: nil)
        #expect(tally.latency.totalCount == 0)
    }

    @Test("Events of others are delivered, but not measured, in a run that publishes")
    mutating func others() {
        tally.beginMeasuring(at: 0)
        receive(event(3, run: 8), at: 10)
        receive(.time(5), at: 10)
        receive(.none, at: 10)
        #expect(tally.deliveries == 3)
        #expect(tally.latency.totalCount == 0)
        #expect(ledger.end == 0)
    }

    @Test("Without publishing, all times are measured and no sequence is")
    mutating func noPublishing() {
        tally.beginMeasuring(at: 0)
        receive(event(3, run: 8, sentAt: 4), at: 10, published: nil)
        receive(.time(5), at: 10, published: nil)
        #expect(tally.latency.totalCount == 2)
        #expect(ledger.end == 0)
    }

    @Test("A latency is exact within 0.8 %, from nanoseconds to two days", arguments: 0..<47)
    mutating func precision(power: Int) {
        let latency = UInt64(1) << UInt64(power) + UInt64(1) << UInt64(power) / 3
        tally.beginMeasuring(at: 0)
        receive(event(0), at: latency)
        receive(event(1), at: BenchTally.longestLatency)
        let found = tally.latency.valueAtPercentile(50)
        #expect(found >= latency && found - latency <= latency / 125, "\(latency) came back as \(found)")
    }

    @Test("A latency of more than two days counts as two days")
    mutating func longest() {
        tally.beginMeasuring(at: 0)
        receive(event(0), at: .max)
        #expect(tally.latency.totalCount == 1)
        #expect(tally.latency.maxRecorded == BenchTally.longestLatency)
    }
}

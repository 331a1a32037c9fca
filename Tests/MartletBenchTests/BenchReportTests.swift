// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletBench

@Suite("Report of a run")
struct BenchReportTests {
    private func usage(ticks: Int, kilobytes: Int) throws -> ProcessUsage {
        let stat = "1 (x) S 1 2 3 4 5 6 7 8 9 10 \(ticks) 0 0 0"
        return try #require(ProcessUsage(stat: stat, status: "VmRSS: \(kilobytes) kB", ticksPerSecond: 100))
    }

    private func report(
        publishing: Bool = true,
        ownSeconds: Double = 0.5,
        firstFailure: String? = nil,
        publishFailure: BenchError? = nil,
        accepted: Int = 20,
        wasInterrupted: Bool = false,
        deliveries: UInt64 = 100,
        isForeign: Bool = false
    ) throws -> BenchReport {
        let plan = try BenchPlan.quick("http://h/s", publishing: publishing ? 10 : nil, subscribers: 10)
        var tally = BenchTally()
        tally.connected = 9
        tally.failed = 1
        tally.firstFailure = firstFailure
        tally.beginMeasuring(at: 0)
        tally.bytes = 5000
        var ledger = SequenceLedger()
        for sequence: UInt64 in 0..<deliveries {
            let mark = EventMark(run: 7, sequence: sequence, sentAt: 1000)
            tally.receive(
                isForeign ? .none : .event(mark), at: 1000 + 10_000 * (sequence + 1),
                published: publishing ? (7, 100) : nil, ledger: &ledger)
        }
        var record = PublishRecord()
        for _ in 0..<30 {
            record.send()
            record.answer(status: 200)
        }
        return BenchReport(
            plan: plan,
            tally: tally,
            connectSeconds: 0.5,
            measurement: BenchReport.Measurement(
                seconds: 2,
                ownSeconds: ownSeconds,
                server: (try usage(ticks: 100, kilobytes: 0), try usage(ticks: 200, kilobytes: 0)),
                accepted: accepted
            ),
            record: publishing ? record : nil,
            publishFailure: publishFailure,
            lost: publishing ? 3 : nil,
            memory: (10_000, 100_000),
            wasInterrupted: wasInterrupted
        )
    }

    @Test("The text is a table")
    func text() throws {
        #expect(
            try report().lines.joined(separator: "\n") == """
                Subscribers  9 of 10 at 18/s, 1 failed, 0 closed
                Deliveries   50/s, 0.00 MB/s, 100 in 2.0 s
                Latency      p50 502 µs, p90 901 µs, p99 991 µs, max 1.00 ms
                Published    10.0/s; of 30 events 30 accepted, 0 refused, 0 unanswered
                Faults       3 lost, 0 duplicated, 0 out of order
                Server       CPU 50.0 % of a core, 10000.00 µs a delivery, 10000 bytes resident a subscriber
                Generator    CPU 25.0 % of a core, 5000.00 µs a delivery
                """
        )
    }

    @Test("The JSON is one object on one line")
    func json() throws {
        let json = try report().json
        #expect(!json.contains("\n"))
        #expect(
            json == """
                {"deliveries":{"bytesPerSecond":2500,"count":100,"perSecond":50},\
                "generator":{"cpuMicrosecondsPerDelivery":5000,"cpuPercent":25},\
                "latencyMicroseconds":{"count":100,"max":1000,"p50":501.8,"p90":901.1,"p99":991.2},"notes":[],\
                "published":{"accepted":30,"acceptedPerSecond":10,"duplicated":0,"lost":3,"outOfOrder":0,"refused":0,\
                "sent":30,"unanswered":0},"seconds":2,\
                "server":{"cpuMicrosecondsPerDelivery":10000,"cpuPercent":50,"residentBytesPerSubscriber":10000},\
                "subscribers":{"closed":0,"connected":9,"connectedPerSecond":18,"failed":1,"requested":10},\
                "url":"http://h/s"}
                """
        )
    }

    @Test("Without publishing there is nothing about it")
    func noPublishing() throws {
        let report = try report(publishing: false)
        #expect(report.published == nil)
        #expect(!report.lines.joined().contains("lost"))
        #expect(report.latencyMicroseconds != nil)
    }

    @Test("Notes say why not to believe the numbers")
    func notes() throws {
        #expect(try report().notes == [])
        #expect(try report(ownSeconds: 1.81).notes.count == 1)
        #expect(try report(ownSeconds: 1.79).notes == [])
        #expect(
            try report(firstFailure: "the server closed the connection").notes
                == ["1 subscribers failed or were closed; the first: the server closed the connection."]
        )
        #expect(try report(accepted: 18).notes == ["The server accepted only 9.0 of 10 events a second."])
        #expect(
            try report(publishFailure: BenchError("broken")).notes
                == ["Publishing was disturbed; the first time: broken."]
        )
        #expect(try report(wasInterrupted: true).notes == ["The run was interrupted."])
        #expect(try report(deliveries: 0).notes == ["No event arrived while it was measured."])
        #expect(
            try report(isForeign: true).notes.contains {
                $0.hasPrefix("No event that arrived was published by this run")
            })
        #expect(try report(publishing: false, isForeign: true).notes == [])
    }

    @Test(
        "Numbers have the decimals asked for",
        arguments: [
            (0.0, 0, "0"), (2.5, 0, "3"), (-1.26, 1, "-1.3"), (0.004, 2, "0.00"), (-0.004, 2, "0.00"),
            (12.3456, 3, "12.346"), (1e300, 1, "1e+300"), (.infinity, 2, "inf"), (.nan, 0, "nan"),
        ]
    )
    func decimals(number: Double, decimals: Int, text: String) {
        #expect(number.fixed(decimals) == text)
    }
}

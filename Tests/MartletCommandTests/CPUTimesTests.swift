// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite("Processor times")
struct CPUTimesTests {
    @Test("Idle and iowait are not busy, and guest times are not counted twice")
    func parses() throws {
        let times = try CPUTimes(
            stat: """
                cpu  100 20 30 1000 50 5 3 2 40 10
                cpu0 50 10 15 500 25 3 2 1 20 5
                cpu1 50 10 15 500 25 2 1 1 20 5
                intr 12345 0 0
                ctxt 6789
                btime 1769860800

                """
        )
        #expect(times.total == 1210)
        #expect(times.busy == 160)
        #expect(times.cores == 2)
    }

    @Test(
        "Other texts are malformed",
        arguments: [
            "", "cpu", "cpu  1 2 3 4", "cpu  1 2 3 4 5", "cpu0 1 2 3 4 5", "cpu  1 2 x 4 5\ncpu0 1 2 3 4 5",
            "cpu  1 2 3 4\ncpu0 1 2 3 4",
        ]
    )
    func malformed(stat: String) {
        #expect(throws: SystemMetricsError.malformed("/proc/stat")) { try CPUTimes(stat: stat) }
    }

    @Test(
        "The busy share is that of the time since",
        arguments: [
            (0, 0, 0.0), (0, 100, 0.0), (25, 75, 0.25), (100, 0, 1.0),
        ]
    )
    func busyShare(busy: Int, idle: Int, share: Double) throws {
        let earlier = try CPUTimes(stat: "cpu 10 0 0 10 0\ncpu0 10 0 0 10 0")
        let later = try CPUTimes(stat: "cpu \(10 + busy) 0 0 \(10 + idle) 0\ncpu0 0 0 0 0 0")
        #expect(later.busyShare(since: earlier) == share)
    }

    @Test("The busy share stays within its range when the kernel's iowait goes backwards")
    func backwards() throws {
        let earlier = try CPUTimes(stat: "cpu 10 0 0 10 10\ncpu0 0 0 0 0 0")
        let later = try CPUTimes(stat: "cpu 20 0 0 10 5\ncpu0 0 0 0 0 0")
        #expect(later.busyShare(since: earlier) == 1)
        #expect(earlier.busyShare(since: later) == 0)
    }
}

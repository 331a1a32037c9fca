// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import MartletCommand

@Suite("System metrics")
struct SystemMetricsTests {
    private func sample(
        meminfo: String = "MemTotal: 2000 kB\nMemFree: 100 kB\nMemAvailable: 500 kB\n",
        loadavg: String = "0.50 0.40 0.30 2/345 6789\n"
    ) throws -> SystemMetrics {
        try SystemMetrics(
            time: Date(timeIntervalSince1970: 1_769_860_800),
            cpu: CPUTimes(stat: "cpu 2 0 0 3 0\ncpu0 2 0 0 3 0\ncpu1 0 0 0 0 0"),
            since: CPUTimes(stat: "cpu 1 0 0 1 0\ncpu0 0 0 0 0 0"),
            meminfo: meminfo,
            loadavg: loadavg
        )
    }

    @Test("A sample is JSON with the time in UTC, shares in thousandths and memory in bytes")
    func json() throws {
        #expect(
            try sample().json == """
                {"cores":2,"cpu":0.333,"load":[0.5,0.4,0.3],"memory":{"total":2048000,"used":1536000},\
                "time":"2026-01-31T12:00:00Z"}
                """
        )
    }

    @Test(
        "Memory without a total or an available amount in kB is malformed",
        arguments: [
            "", "MemTotal: 2000 kB", "MemAvailable: 500 kB", "MemTotal: 2000\nMemAvailable: 500",
            "MemTotal: x kB\nMemAvailable: 500 kB", "MemTotal: 2 MB\nMemAvailable: 1 MB",
        ]
    )
    func malformedMemory(meminfo: String) {
        #expect(throws: SystemMetricsError.malformed("/proc/meminfo")) { try sample(meminfo: meminfo) }
    }

    @Test("Fewer than three load averages are malformed", arguments: ["", "0.5 0.4", "0.5 x 0.3", "a b c"])
    func malformedLoad(loadavg: String) {
        #expect(throws: SystemMetricsError.malformed("/proc/loadavg")) { try sample(loadavg: loadavg) }
    }
}

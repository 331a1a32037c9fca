// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletBench

@Suite("Usage of a process")
struct ProcessUsageTests {
    private static let stat = """
        4242 (my (odd) name) S 1 4242 4242 0 -1 4194304 1183 0 0 0 250 75 9 9 20 0 5 0 12345 108273664 2345 1 1
        """
    private static let status = "Name:\tmy (odd) name\nVmPeak:\t  105736 kB\nVmRSS:\t    9380 kB\nThreads:\t5\n"

    @Test(
        "Processor time and memory are read, whatever the name of the program",
        arguments: ["my (odd) name", ")", "\u{301}) S 1", "\u{FFFD}", ""])
    func parses(name: String) throws {
        let stat = Self.stat.replacing("my (odd) name", with: name)
        let usage = try #require(ProcessUsage(stat: stat, status: Self.status, ticksPerSecond: 100))
        #expect(usage.userSeconds == 2.5)
        #expect(usage.systemSeconds == 0.75)
        #expect(usage.residentBytes == 9380 * 1024)
    }

    @Test(
        "Other texts are malformed",
        arguments: [
            ("", status), ("4242 (x) S 1 2 3", status), ("no name", status), (stat, ""), (stat, "VmRSS:\t9380"),
            (stat, "VmRSS:\tx kB"), (stat.replacing("250", with: "x"), status),
            (stat, "VmRSS:\t9223372036854775807 kB"),
        ]
    )
    func malformed(stat: String, status: String) {
        #expect(ProcessUsage(stat: stat, status: status, ticksPerSecond: 100) == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What the kernel of Linux counts, in `/proc`.
struct Counters {
    private var busy = 0
    private var ticks = 0
    private var bytes = 0
    private var time = Date.now

    /// - Throws: an error if there is no `/proc`, as on macOS.
    init() throws { _ = try sample() }

    /// A sample of the time since the last one.
    mutating func sample() throws -> Sample {
        let last = self
        time = .now

        // user, nice, system, idle, iowait, …
        let stat = try Self.lines("stat").filter { $0[0].hasPrefix("cpu") }
        let spent = stat[0].dropFirst().prefix(8).compactMap { Int($0) }
        ticks = spent.reduce(0, +)
        busy = ticks - spent[3] - spent[4]

        // eth0: received bytes and seven more, then sent bytes
        let interfaces = try Self.lines("net/dev").dropFirst(2).filter { $0[0] != "lo:" }
        bytes = interfaces.reduce(0) { $0 + (Int($1[1]) ?? 0) + (Int($1[9]) ?? 0) }

        let meminfo = try Self.lines("meminfo")
        func memory(_ name: String) -> Int { 1024 * (meminfo.first { $0[0] == name }.flatMap { Int($0[1]) } ?? 0) }

        return Sample(
            time: time,
            cpu: Double(busy - last.busy) / Double(max(ticks - last.ticks, 1)),
            cores: stat.count - 1,
            memory: memory("MemTotal:") - memory("MemAvailable:"), memoryTotal: memory("MemTotal:"),
            load: try Double(Self.lines("loadavg")[0][0]) ?? 0,
            network: Double(bytes - last.bytes) / max(time.timeIntervalSince(last.time), 0.001))
    }

    /// The words of each line.
    private static func lines(_ file: String) throws -> [[Substring]] {
        try String(contentsOfFile: "/proc/\(file)", encoding: .utf8)
            .split(separator: "\n").map { $0.split(separator: " ") }
    }
}

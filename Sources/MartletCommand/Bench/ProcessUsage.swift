// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What a process uses of the machine, from `/proc`.
struct ProcessUsage: Equatable, Sendable {
    /// Processor time in user mode since the process started, in seconds, to the clock tick (10 ms as a rule).
    let userSeconds: Double
    /// Likewise in the kernel.
    let systemSeconds: Double
    /// Memory that is resident, in bytes.
    let residentBytes: Int

    /// - Parameters:
    ///   - stat: The text of `/proc/<pid>/stat`.
    ///   - status: The text of `/proc/<pid>/status`.
    /// - Returns: nil if a text is malformed, or the process has ended.
    init?(stat: String, status: String, ticksPerSecond: Int) {
        // The name of the program is in parentheses and may contain any others.
        guard let nameEnd = stat.lastIndex(of: ")") else { return nil }
        // From the third field on; fields 14 and 15 are the times.
        let fields = stat[stat.index(after: nameEnd)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        let words = line?.split(whereSeparator: \.isWhitespace) ?? []
        guard words.count == 3, words[2] == "kB", let resident = Int(words[1]) else { return nil }
        userSeconds = user / Double(ticksPerSecond)
        systemSeconds = system / Double(ticksPerSecond)
        residentBytes = resident * 1024
    }

    /// - Returns: nil if there is no such process, or no `/proc`.
    init?(process: Int) {
        guard let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
            let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        else { return nil }
        self.init(stat: stat, status: status, ticksPerSecond: sysconf(Int32(_SC_CLK_TCK)))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Dispatch
import MartletSupport

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

/// The processor time and memory of a process, from `/proc`.
package struct ProcessUsage: Equatable, Sendable {
    /// Processor time in user mode since the process started, in seconds, to the clock tick (10 ms as a rule).
    package let userSeconds: Double
    /// Processor time in the kernel.
    package let systemSeconds: Double
    /// Resident memory in bytes.
    package let residentBytes: Int

    /// - Parameters:
    ///   - stat: The text of `/proc/<pid>/stat`.
    ///   - status: The text of `/proc/<pid>/status`.
    /// - Returns: `nil` if a text is malformed, or the process has ended.
    init?(stat: String, status: String, ticksPerSecond: Int) {
        // The name of the program stands in parentheses, and can contain parentheses.
        guard let nameEnd = stat.utf8.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        // From the third field on; fields 14 and 15 are the times.
        let fields = stat.utf8[nameEnd...].dropFirst().split(separator: UInt8(ascii: " ")).map { Substring($0) }
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        let memory = status.splitExactly(at: 0x0A).lazy.compactMap { $0.cutting(prefix: "VmRSS:") }.first
        let words = memory?.utf8.split(whereSeparator: \.isBlank).map { Substring($0) } ?? []
        guard words.count == 2, words[1].isExactly("kB"), let resident = Int(words[0]), resident <= Int.max / 1024
        else { return nil }
        userSeconds = user / Double(ticksPerSecond)
        systemSeconds = system / Double(ticksPerSecond)
        residentBytes = resident * 1024
    }

    /// - Returns: `nil` if there is no such process, or no `/proc`.
    package init?(process: Int) {
        // The name of a program need not be UTF-8.
        guard let stat = try? Data(contentsOf: URL(filePath: "/proc/\(process)/stat")),
            let status = try? Data(contentsOf: URL(filePath: "/proc/\(process)/status"))
        else { return nil }
        self.init(
            stat: String(decoding: stat, as: UTF8.self), status: String(decoding: status, as: UTF8.self),
            ticksPerSecond: sysconf(Int32(_SC_CLK_TCK)))
    }
}

/// Times in nanoseconds of the system's monotonic clock, which all processes of a machine share.
enum MonotonicTime {
    static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

    /// The processor time of this process in nanoseconds, to the microsecond.
    static var processorTime: UInt64 { UInt64(max(clock(), 0)) * (1_000_000_000 / UInt64(CLOCKS_PER_SEC)) }
}

extension Duration {
    /// The duration in whole nanoseconds; it must not be negative.
    var nanoseconds: UInt64 {
        UInt64(self / .nanoseconds(1))
    }
}

// SPDX-License-Identifier: Apache-2.0

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

    /// - Returns: nil if there is no such process, or no `/proc`.
    init?(process: Int) {
        // The name of a program is any bytes.
        guard let stat = try? Data(contentsOf: URL(filePath: "/proc/\(process)/stat")),
            let status = try? Data(contentsOf: URL(filePath: "/proc/\(process)/status"))
        else { return nil }
        self.init(
            stat: String(decoding: stat, as: UTF8.self), status: String(decoding: status, as: UTF8.self),
            ticksPerSecond: sysconf(Int32(_SC_CLK_TCK)))
    }
}

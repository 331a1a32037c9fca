// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A sample of this machine's processor, memory and load, as `martlet serve --demo` publishes it.
struct SystemMetrics: Encodable, Equatable, Sendable {
    struct Memory: Encodable, Equatable, Sendable {
        /// Bytes that are not available to programs.
        let used: Int
        /// Bytes.
        let total: Int

        /// - Parameter meminfo: The text of `/proc/meminfo`.
        /// - Throws: ``SystemMetricsError`` if it lacks `MemTotal` or `MemAvailable`.
        init(meminfo: String) throws(SystemMetricsError) {
            let lines = meminfo.split(separator: "\n").map { $0.split(separator: " ") }
            func bytes(_ name: String) -> Int? {
                guard let words = lines.first(where: { $0[0] == name }), words.count == 3, words[2] == "kB" else {
                    return nil
                }
                return Int(words[1]).map { $0 * 1024 }
            }
            guard let total = bytes("MemTotal:"), let available = bytes("MemAvailable:") else {
                throw .malformed("/proc/meminfo")
            }
            self.total = total
            used = total - available
        }
    }

    /// To the second.
    let time: Date
    /// The share of all cores that was in use since the sample before, from 0 to 1 in thousandths.
    let cpu: Double
    let memory: Memory
    /// The load averages over 1, 5 and 15 minutes.
    let load: [Double]
    let cores: Int

    /// - Parameters:
    ///   - cpu: The processor times now.
    ///   - earlier: The processor times at the sample before.
    ///   - meminfo: The text of `/proc/meminfo`.
    ///   - loadavg: The text of `/proc/loadavg`.
    /// - Throws: ``SystemMetricsError`` if a text is malformed.
    init(
        time: Date,
        cpu: CPUTimes,
        since earlier: CPUTimes,
        meminfo: String,
        loadavg: String
    ) throws(SystemMetricsError) {
        self.time = time
        self.cpu = (cpu.busyShare(since: earlier) * 1000).rounded() / 1000
        memory = try Memory(meminfo: meminfo)
        load = loadavg.split(separator: " ").prefix(3).compactMap { Double($0) }
        cores = cpu.cores
        guard load.count == 3 else { throw .malformed("/proc/loadavg") }
    }

    /// The sample as one line of JSON, with the time as in `2026-01-31T12:00:00Z`.
    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.dateEncodingStrategy = .iso8601
            encoder.outputFormatting = .sortedKeys
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import ServiceLifecycle

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
        /// - Throws: ``SystemMetricsError`` if `MemTotal` or `MemAvailable` is missing.
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

/// The processor time that the machine has spent since it started, from `/proc/stat`.
struct CPUTimes: Equatable, Sendable {
    /// Ticks spent on work, over all cores.
    let busy: Int
    /// Ticks spent, over all cores.
    let total: Int
    let cores: Int

    /// - Parameter stat: The text of `/proc/stat`.
    /// - Throws: ``SystemMetricsError`` if the line of all cores or every line of a single core is missing.
    init(stat: String) throws(SystemMetricsError) {
        let lines = stat.split(separator: "\n").filter { $0.hasPrefix("cpu") }.map { $0.split(separator: " ") }
        // user, nice, system, idle, iowait, irq, softirq, steal; the guest times after them are part of user and nice.
        let ticks = lines.first { $0[0] == "cpu" }?.dropFirst().prefix(8).map { Int($0) } ?? []
        let spent = ticks.compactMap(\.self)
        guard spent.count == ticks.count, spent.count >= 5, lines.count > 1 else { throw .malformed("/proc/stat") }
        total = spent.reduce(0, +)
        busy = total - spent[3] - spent[4]
        cores = lines.count - 1
    }

    /// The share of the time since `earlier` that was spent on work, from 0 to 1; 0 if no time has passed.
    func busyShare(since earlier: CPUTimes) -> Double {
        let elapsed = total - earlier.total
        guard elapsed > 0 else { return 0 }
        return min(max(Double(busy - earlier.busy) / Double(elapsed), 0), 1)
    }
}

/// The metrics of this machine are not available.
struct SystemMetricsError: Error, Equatable, CustomStringConvertible {
    /// What is wrong and what to do, in one line.
    let description: String

    static func unreadable(_ path: String) -> Self {
        Self(description: "cannot read \(path), which --demo needs; start without --demo on this system")
    }

    static func malformed(_ path: String) -> Self {
        Self(description: "unexpected content in \(path), which --demo needs; start without --demo on this system")
    }
}

/// Publishes a ``SystemMetrics`` as JSON each second until graceful shutdown.
struct SystemMetricsPublisher: Service {
    var clock: any Clock<Duration> = ContinuousClock()
    var now: @Sendable () -> Date = { Date() }
    /// Reads the file at a path.
    var read: @Sendable (String) throws -> String = { path in
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw SystemMetricsError.unreadable(path)
        }
    }
    let publish: @Sendable (String) async throws -> Void

    /// - Throws: ``SystemMetricsError`` if a file under `/proc` cannot be read or is malformed; the errors of `publish`.
    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown(publishEachSecond)
        } catch is CancellationError {
            // Shutdown ends the wait for the next second.
        }
    }

    @Sendable private func publishEachSecond() async throws {
        var earlier = try CPUTimes(stat: read("/proc/stat"))
        while true {
            try await clock.sleep(for: .seconds(1))
            let times = try CPUTimes(stat: read("/proc/stat"))
            let metrics = try SystemMetrics(
                time: now(),
                cpu: times,
                since: earlier,
                meminfo: read("/proc/meminfo"),
                loadavg: read("/proc/loadavg")
            )
            try await publish(metrics.json)
            earlier = times
        }
    }
}

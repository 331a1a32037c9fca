// SPDX-License-Identifier: Apache-2.0

/// The processor time that the machine has spent since it started, from `/proc/stat`.
struct CPUTimes: Equatable, Sendable {
    /// Ticks spent on work, over all cores.
    let busy: Int
    /// Ticks spent, over all cores.
    let total: Int
    let cores: Int

    /// - Parameter stat: The text of `/proc/stat`.
    /// - Throws: ``SystemMetricsError`` if it lacks the line of all cores or that of any single one.
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

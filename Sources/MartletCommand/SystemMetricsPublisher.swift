// SPDX-License-Identifier: Apache-2.0

import ServiceLifecycle

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

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

    /// - Throws: ``SystemMetricsError`` if a file under `/proc` cannot be read or is malformed; what publishing throws.
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

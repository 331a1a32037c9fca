// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Foundation
import Martlet
import MartletBench
import MartletMetrics
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The metrics of the process, under the names that Prometheus has for every program, and the version of the hub. Where
/// there is no `/proc`, only the limits and the version are known.
///
/// Source: <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>
enum ProcessMetrics {
    /// Has a registry collect them each time it is read.
    static func add(to registry: PrometheusRegistry) {
        func gauge(_ name: String, _ dimensions: [(String, String)] = []) -> Gauge {
            Gauge(label: name, dimensions: dimensions, factory: registry)
        }
        gauge("martlet_build_info", [("version", RootCommand.version)]).record(1)
        gauge("process_max_fds").record(DescriptorLimit.soft)
        gauge("process_start_time_seconds").record(Double(WallTime.now.milliseconds) / 1000)
        let memory = gauge("process_resident_memory_bytes")
        let descriptors = gauge("process_open_fds")
        let processor = ProcessorTime(registry)
        registry.onCollect {
            descriptors.record(OpenDescriptors.count.map { Double($0) } ?? .nan)
            guard let usage = ProcessUsage(process: Int(getpid())) else { return }
            memory.record(usage.residentBytes)
            processor.record(usage.userSeconds + usage.systemSeconds)
        }
    }
}

/// A counter of the processor time, from readings of its sum.
private final class ProcessorTime: Sendable {
    private let counter: FloatingPointCounter
    private let last = Mutex(0.0)

    init(_ factory: any MetricsFactory) {
        counter = FloatingPointCounter(label: "process_cpu_seconds", dimensions: [], factory: factory)
    }

    func record(_ seconds: Double) {
        let more = last.withLock { last in
            // Of two readings at the same time, the later one may come first.
            defer { last = max(last, seconds) }
            return seconds - last
        }
        if more > 0 { counter.increment(by: more) }
    }
}

/// The open descriptors of this process.
private enum OpenDescriptors {
    /// The most that are counted one by one, which takes some milliseconds.
    static let mostCounted = 16_384

    /// `nil` if they are not known, or too many for a kernel that does not count them itself.
    static var count: Int? {
        // From Linux 6.2 on, the size of the folder is the number of descriptors.
        let attributes = try? FileManager.default.attributesOfItem(atPath: "/proc/self/fd")
        if let size = attributes?[.size] as? UInt64, size > 0 { return Int(clamping: size) }
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while count <= mostCounted, readdir(folder) != nil { count += 1 }
        // Without `.`, `..` and the descriptor of the folder.
        return count <= mostCounted ? max(0, count - 3) : nil
    }
}

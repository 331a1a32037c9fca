// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import MartletCommand

@Suite("System metrics")
struct SystemMetricsTests {
    private func sample(
        meminfo: String = "MemTotal: 2000 kB\nMemFree: 100 kB\nMemAvailable: 500 kB\n",
        loadavg: String = "0.50 0.40 0.30 2/345 6789\n"
    ) throws -> SystemMetrics {
        try SystemMetrics(
            time: Date(timeIntervalSince1970: 1_769_860_800),
            cpu: CPUTimes(stat: "cpu 2 0 0 3 0\ncpu0 2 0 0 3 0\ncpu1 0 0 0 0 0"),
            since: CPUTimes(stat: "cpu 1 0 0 1 0\ncpu0 0 0 0 0 0"),
            meminfo: meminfo,
            loadavg: loadavg
        )
    }

    @Test("A sample is JSON with the time in UTC, shares in thousandths and memory in bytes")
    func json() throws {
        #expect(
            try sample().json == """
                {"cores":2,"cpu":0.333,"load":[0.5,0.4,0.3],"memory":{"total":2048000,"used":1536000},\
                "time":"2026-01-31T12:00:00Z"}
                """
        )
    }

    @Test(
        "Memory without a total or an available amount in kB is malformed",
        arguments: [
            "", "MemTotal: 2000 kB", "MemAvailable: 500 kB", "MemTotal: 2000\nMemAvailable: 500",
            "MemTotal: x kB\nMemAvailable: 500 kB", "MemTotal: 2 MB\nMemAvailable: 1 MB",
        ]
    )
    func malformedMemory(meminfo: String) {
        #expect(throws: SystemMetricsError.malformed("/proc/meminfo")) { try sample(meminfo: meminfo) }
    }

    @Test("Fewer than three load averages are malformed", arguments: ["", "0.5 0.4", "0.5 x 0.3", "a b c"])
    func malformedLoad(loadavg: String) {
        #expect(throws: SystemMetricsError.malformed("/proc/loadavg")) { try sample(loadavg: loadavg) }
    }
}

@Suite("Processor times")
struct CPUTimesTests {
    @Test("Idle and iowait are not busy, and guest times are not counted twice")
    func parses() throws {
        let times = try CPUTimes(
            stat: """
                cpu  100 20 30 1000 50 5 3 2 40 10
                cpu0 50 10 15 500 25 3 2 1 20 5
                cpu1 50 10 15 500 25 2 1 1 20 5
                intr 12345 0 0
                ctxt 6789
                btime 1769860800

                """
        )
        #expect(times.total == 1210)
        #expect(times.busy == 160)
        #expect(times.cores == 2)
    }

    @Test(
        "Other texts are malformed",
        arguments: [
            "", "cpu", "cpu  1 2 3 4", "cpu  1 2 3 4 5", "cpu0 1 2 3 4 5", "cpu  1 2 x 4 5\ncpu0 1 2 3 4 5",
            "cpu  1 2 3 4\ncpu0 1 2 3 4",
        ]
    )
    func malformed(stat: String) {
        #expect(throws: SystemMetricsError.malformed("/proc/stat")) { try CPUTimes(stat: stat) }
    }

    @Test(
        "The busy share is that of the time since",
        arguments: [
            (0, 0, 0.0), (0, 100, 0.0), (25, 75, 0.25), (100, 0, 1.0),
        ]
    )
    func busyShare(busy: Int, idle: Int, share: Double) throws {
        let earlier = try CPUTimes(stat: "cpu 10 0 0 10 0\ncpu0 10 0 0 10 0")
        let later = try CPUTimes(stat: "cpu \(10 + busy) 0 0 \(10 + idle) 0\ncpu0 0 0 0 0 0")
        #expect(later.busyShare(since: earlier) == share)
    }

    @Test("The busy share stays within its range when the kernel's iowait goes backwards")
    func backwards() throws {
        let earlier = try CPUTimes(stat: "cpu 10 0 0 10 10\ncpu0 0 0 0 0 0")
        let later = try CPUTimes(stat: "cpu 20 0 0 10 5\ncpu0 0 0 0 0 0")
        #expect(later.busyShare(since: earlier) == 1)
        #expect(earlier.busyShare(since: later) == 0)
    }
}

@Suite("Publishing system metrics")
struct SystemMetricsPublisherTests {
    /// A clock whose sleeps end as the test lets them, one for each element of `steps`.
    private struct StepClock: Clock {
        let now = ContinuousClock.now
        let minimumResolution = Duration.zero
        let steps: AsyncStream<Void>

        func sleep(until deadline: ContinuousClock.Instant, tolerance: Duration?) async throws {
            #expect(now.duration(to: deadline) == .seconds(1))
            guard await steps.first(where: { true }) != nil else { throw CancellationError() }
        }
    }

    private struct Failure: Error {}

    @Test("A sample over each second is published until graceful shutdown")
    func publishes() async throws {
        let (steps, step) = AsyncStream<Void>.makeStream()
        let (published, publish) = AsyncStream<String>.makeStream()
        let ticks = Mutex(0)
        let publisher = SystemMetricsPublisher(
            clock: StepClock(steps: steps),
            now: { Date(timeIntervalSince1970: 0) },
            read: { path in
                switch path {
                case "/proc/stat":
                    // One busy tick of four in the first second, two of four in the second.
                    let time = ticks.withLock { ticks in
                        defer { ticks += 1 }
                        return [(0, 0), (1, 3), (3, 5)][ticks]
                    }
                    return "cpu \(time.0) 0 0 \(time.1) 0\ncpu0 \(time.0) 0 0 \(time.1) 0"
                case "/proc/meminfo":
                    return "MemTotal: 2 kB\nMemAvailable: 1 kB"
                case "/proc/loadavg":
                    return "1 2 3 1/1 1"
                default:
                    throw SystemMetricsError.unreadable(path)
                }
            },
            publish: { publish.yield($0) }
        )
        let group = ServiceGroup(
            services: [publisher],
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )

        try await withThrowingTaskGroup { tasks in
            tasks.addTask { try await group.run() }
            var samples = published.makeAsyncIterator()
            for cpu in ["0.25", "0.5"] {
                step.yield()
                #expect(
                    await samples.next() == """
                        {"cores":1,"cpu":\(cpu),"load":[1,2,3],"memory":{"total":2048,"used":1024},\
                        "time":"1970-01-01T00:00:00Z"}
                        """
                )
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test("An unreadable file ends it with an error that names the file")
    func unreadable() async {
        let publisher = SystemMetricsPublisher(read: { throw SystemMetricsError.unreadable($0) }, publish: { _ in })
        await #expect(throws: SystemMetricsError.unreadable("/proc/stat")) { try await publisher.run() }
    }

    @Test("An error of publishing ends it")
    func publishingFails() async throws {
        let (steps, step) = AsyncStream<Void>.makeStream()
        step.yield()
        let publisher = SystemMetricsPublisher(
            clock: StepClock(steps: steps),
            read: { path in
                switch path {
                case "/proc/stat": "cpu 1 0 0 1 0\ncpu0 1 0 0 1 0"
                case "/proc/meminfo": "MemTotal: 2 kB\nMemAvailable: 1 kB"
                default: "1 2 3 1/1 1"
                }
            },
            publish: { _ in throw Failure() }
        )
        await #expect(throws: Failure.self) { try await publisher.run() }
    }
}

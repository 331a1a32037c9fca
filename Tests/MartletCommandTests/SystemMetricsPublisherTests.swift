// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import MartletCommand

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

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import CoreMetrics
import EventStream
import Glibc
import MartletSupport
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import Martlet

@Suite struct ShardThreadTests {
    /// - Parameter count: How many threads the system starts.
    private func hub(threads count: Int, wanted: Int, _ recorded: RecordingLog) -> Hub {
        let left = Mutex(count)
        return Hub(
            log: MemoryLog(),
            configuration: .with {
                $0.shards = wanted
                $0.grace = .zero
            },
            logger: recorded.logger, metrics: NOOPMetricsHandler.instance
        ) { body throws(ThreadError) in
            let isStarted = left.withLock { left in
                left -= 1
                return left >= 0
            }
            guard isStarted else { throw ThreadError(EAGAIN) }
            try WorkThread.start(body)
        }
    }

    @Test("A hub that is given too few threads serves its streams with those that it has", arguments: [(0, 3), (2, 3)])
    func hubThatIsGivenToo(
        threads: Int, wanted: Int
    ) async throws {
        let recorded = RecordingLog()
        let hub = hub(threads: threads, wanted: wanted, recorded)
        let running = Task { try await hub.run() }
        let client = try await SinkClient(hub, .of("a"))
        #expect((hub.fanOut.nextSocketShard() != nil) == (threads > 0))
        #expect(hub.fanOut.state.withLock { $0.socketShards.count } == threads)
        try await hub.publish("1", to: "a")
        try await client.read { $0.events.map(\.data) == ["1"] }
        #expect(recorded.lines.count { $0.contains("threads") } == 1)
        try await client.close()
        running.cancel()
        _ = await running.result
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import Synchronization
import TestSupport
import Testing

@testable import MartletRedis

@Suite("Nodes of one stream of which one lags", .timeLimit(.minutes(10)))
struct NodesTests {
    @Test("An id that a node has not read yet is known there, and is ahead of it")
    func ahead() async throws {
        try await RedisServer.with { server in
            let fast = server.log()
            // The buffer holds one event until a reader takes it.
            let slow = server.log { $0.tailBytes = 1 }
            _ = try await fast.open()
            let start = try await slow.open()
            let first = try await fast.append("a", "1")[0]
            try await until {
                slow.health.lag == .zero && slow.node.withLock { $0.newestPlace?.position == first }
            }
            let second = try await fast.append("a", "2")[0]
            #expect(try await slow.resolve(second.text, for: .of("a")) == Resolution(position: second))
            #expect(!slow.covers(first, second))
            #expect(try await read(2, of: slow, after: start).map(\.event.data) == ["1", "2"])
            await fast.close()
            await slow.close()
        }
    }

    @Test("A client that comes from a faster node gets each event once")
    func hubs() async throws {
        try await RedisServer.with { server in
            let fast = server.log()
            _ = try await fast.open()
            let hub = Hub(log: server.log(), logger: quiet)
            let running = Task { try await hub.run() }
            for round in 0..<20 {
                let place = try await fast.append("a", "\(round)")[0]
                try await hub.subscribe(to: "a", after: place.text) { events in
                    try await fast.append("a", "after \(round)")
                    var iterator = events.makeAsyncIterator()
                    #expect(try await iterator.next()?.data == "after \(round)")
                }
            }
            running.cancel()
            try await running.value
            await fast.close()
        }
    }
}
#endif

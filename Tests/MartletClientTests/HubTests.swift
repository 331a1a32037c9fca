// SPDX-License-Identifier: Apache-2.0

import EventStream
import Martlet
import TestSupport
import Testing

@testable import MartletClient

@Suite(.timeLimit(.minutes(10))) struct HubTests {
    /// The connection is dropped a hundred times, while a publisher sends as fast as it can.
    @Test("Each event of a hub is received exactly once, however often the connection is cut")
    func exactlyOnce() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        // A publisher in the same process outruns any client, so history has no bound.
        let hub = quickHub(retention: Retention(events: .max, bytes: .max))
        let cuts = (0..<100).map { _ in Int.random(in: 0..<60, using: &random) }
        try await TestServer.run(hub: hub) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                let source = EventSource("http://127.0.0.1:\(server.port)/events/numbers?lastEventID=earliest")
                try await server.hub.publish("0", to: "numbers")
                group.addTask {
                    var number = 1
                    while !Task.isCancelled {
                        try await server.hub.publish("\(number)", to: "numbers")
                        number += 1
                        try await Task.step()
                    }
                }
                var expected = 0
                for (round, cut) in cuts.enumerated() {
                    // Each loop reconnects in the middle.
                    let events = source.makeAsyncIterator()
                    for half in 0..<2 {
                        for _ in 0..<cut {
                            let event = try await events.next()
                            try #require(event?.data == "\(expected)", "seed \(seed), round \(round), half \(half)")
                            expected += 1
                        }
                        source.reconnect()
                    }
                }
                #expect(expected == cuts.reduce(0, +) * 2)
                group.cancelAll()
            }
        }
    }
}

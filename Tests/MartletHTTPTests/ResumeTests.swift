// SPDX-License-Identifier: Apache-2.0

import EventStream
import Martlet
import MartletHTTP
import MartletTesting
import TestSupport
import Testing

@Suite(.serialized) struct ResumeTests {
    /// A stream is cut after a random number of bytes-worth of events, a hundred times, while a publisher sends as fast as
    /// it can; each time it is resumed with the last id that it has.
    @Test(
        "A stream that is cut at any moment goes on without a gap and without a duplicate", arguments: ["1.1", "1.0"],
        [0, 2])
    func streamThatIsCut(
        version: String, shards: Int
    ) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        // A publisher in the same process outruns any client; history has to hold what that comes to.
        let hub = quickHub(retention: Retention(events: .max, bytes: .max)) {
            $0.windowBytes = 64 * 1024
            $0.shards = shards
        }
        let cuts = (0..<100).map { _ in Int.random(in: 0..<60, using: &random) }
        try await TestServer.run(hub: hub) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                var source = try await TestEventSource(port: server.port, path: "/events/numbers")
                var id = try #require(try await source.nextID())
                group.addTask {
                    var number = 0
                    while !Task.isCancelled {
                        try await server.hub.publish(contentsOf: [
                            Event(topic: "numbers", data: "\(number)"),
                            Event(topic: "other", data: "\(number)"),
                            Event(topic: "numbers", data: "\(number + 1)", id: number % 3 == 0 ? "own-\(number)" : nil),
                        ])
                        number += 2
                        try await Task.step()
                    }
                }
                var expected = 0
                for (round, cut) in cuts.enumerated() {
                    for _ in 0..<cut {
                        let event = try await source.next()
                        try #require(event?.event != "gap", "seed \(seed), round \(round): \(event?.data ?? "")")
                        try #require(event?.data == "\(expected)", "seed \(seed), round \(round)")
                        id = try #require(event?.id)
                        expected += 1
                    }
                    if round % 2 == 0 {
                        try await source.connection.reset()
                    } else {
                        try await source.connection.close()
                    }
                    source = try await TestEventSource(
                        port: server.port, path: "/events/numbers", lastEventID: id, version: version)
                }
                #expect(expected == cuts.reduce(0, +))
                group.cancelAll()
                try await source.connection.close()
            }
        }
    }

    @Test("Events that were published while no client listened are replayed before live ones")
    func whatWasPublishedWhileNobody() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let id = try #require(try await source.nextID())
            try await source.connection.close()
            for number in 0..<2000 { try await server.hub.publish("\(number)", to: "a") }
            let resumed = try await TestEventSource(port: server.port, path: "/events/a", lastEventID: id)
            for number in 2000..<2100 { try await server.hub.publish("\(number)", to: "a") }
            for number in 0..<2100 { #expect(try await resumed.next()?.data == "\(number)") }
        }
    }
}

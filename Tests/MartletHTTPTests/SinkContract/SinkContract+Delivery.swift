// SPDX-License-Identifier: Apache-2.0

import EventStream
import Martlet
import MartletTesting

extension SinkContract {
    static let deliveryChecks: [Check] = [
        Check("Every client receives every event of its topic once and in order, over any version of HTTP") { server in
            let clients = [
                try await server.connect("a"), try await server.connect("a", version: "1.0"),
                try await server.connect("a?topic=b"),
            ]
            try require(!clients[1].head.lowercased().contains("transfer-encoding"), "HTTP/1.0 has no transfer coding")
            try await server.streams(3)
            for number in 0..<500 {
                try await server.hub.publish(number % 2 == 0 ? "\(number)" : "\(number)\nof two lines", to: "a")
            }
            for client in clients {
                for number in 0..<500 {
                    let data = try await client.next()?.data
                    try require(data == (number % 2 == 0 ? "\(number)" : "\(number)\nof two lines"), "\(data ?? "end")")
                }
            }
        },
        Check(
            "A heartbeat is the id of the end of the log and dispatches nothing",
            configuration: with { $0.heartbeat = .milliseconds(20) }
        ) {
            server in
            let client = try await server.connect("quiet")
            let opening = try await client.nextID()
            let busy = try await server.hub.publish("1", to: "busy")
            let heartbeat = try await client.nextID()
            try require(heartbeat == busy, "the heartbeat \(heartbeat ?? "none") came after \(opening ?? "none")")
            try await server.hub.publish("2", to: "quiet")
            let resumed = try await server.connect("quiet", lastEventID: busy)
            try require(try await resumed.next()?.data == "2", "resuming from a heartbeat misses something")
            try require(try await client.next()?.data == "2", "an event was dispatched before the expected one")
        },
        Check(
            "A client that does not read delays no other, and receives every event once it reads",
            configuration: with {
                $0.windowBytes = 512 * 1024
                // The slow client must not be disconnected, even if the test takes long.
                $0.writeTimeout = .seconds(600)
            }
        ) { server in
            let slow = try await server.connect("a")
            let quick = try await server.connect("a")
            // Far more than the sockets and the window hold, so that the slow client has to read history.
            try await publish(300, to: server.hub) { number in
                try require(
                    try await quick.next()?.data?.hasPrefix("\(number) ") == true, "the quick one misses \(number)")
            }
            for number in 0..<300 {
                try require(
                    try await slow.next()?.data?.hasPrefix("\(number) ") == true, "the slow one misses \(number)")
            }
        },
        Check(
            "A client that has fallen behind history receives a gap and continues",
            retention: Retention(events: 10), configuration: with { $0.windowBytes = 1 }
        ) { server in
            let slow = try await server.connect("a")
            let quick = try await server.connect("a")
            try await publish(300, to: server.hub) { number in
                // It may receive gaps, too; it only has to keep up.
                while let event = try await quick.next(), event.data?.hasPrefix("\(number) ") != true {}
            }
            var last = -1
            var gaps = 0
            while last < 299, let event = try await slow.next() {
                if event.event == "gap" {
                    gaps += 1
                } else if let number = event.data?.split(separator: " ").first.flatMap({ Int($0) }) {
                    try require(number == last + 1 || gaps > 0, "\(number) came after \(last) without a gap")
                    try require(number > last, "\(number) came after \(last)")
                    last = number
                }
            }
            try require(last == 299, "the stream ended at \(last)")
            try require(gaps > 0, "there was no gap, although history had lost events")
        },
    ]

    /// Publishes large events, each after the previous one was received.
    private static func publish(
        _ count: Int, to hub: Hub, received: (Int) async throws -> Void
    ) async throws {
        let data = String(repeating: "x", count: 64 * 1024)
        for number in 0..<count {
            try await hub.publish("\(number) \(data)", to: "a")
            try await received(number)
        }
    }
}

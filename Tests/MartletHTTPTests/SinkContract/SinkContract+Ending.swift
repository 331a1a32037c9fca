// SPDX-License-Identifier: Apache-2.0

import EventStream
import Martlet
import MartletTesting

extension SinkContract {
    static let endingChecks: [Check] = [
        Check("A client that leaves in any way ends its stream") { server in
            for leave in [TestConnection.close, TestConnection.finishSending, TestConnection.reset] {
                let client = try await server.connect("a")
                try await server.streams(1)
                try await leave(client.connection)()
                try await server.streams(0)
            }
        },
        Check("Requests behind a stream are not executed, and do not hide that the client is gone") { server in
            let client = try await server.connect("a")
            let request = "POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1"
            try await client.connection.send(String(repeating: request, count: 2000))
            try await server.streams(1)
            try await client.connection.finishSending()
            try await server.streams(0)
            let history = try await server.connect("a?lastEventID=earliest")
            try await server.hub.publish("first", to: "a")
            try require(try await history.next()?.data == "first", "a request behind the stream was executed")
        },
        Check("A drain loses no event, tells the client when to come back, and ends the body") { server in
            let clients = [try await server.connect("a"), try await server.connect("a", version: "1.0")]
            try await server.streams(2)
            try await server.hub.publish("last", to: "a")
            for client in clients { try require(try await client.next()?.data == "last", "the last event is lost") }
            server.hub.beginDrain()
            for client in clients { try await requireEnd(of: client) }
            try await server.streams(0)
        },
        Check(
            "A connection ends at its maximum age",
            configuration: with { $0.maximumConnectionAge = .milliseconds(100) }
        ) { server in
            try await requireEnd(of: try await server.connect("a"))
            try await server.streams(0)
        },
        Check(
            "A client that takes nothing for the write timeout is disconnected",
            configuration: with { $0.writeTimeout = .milliseconds(300) }
        ) {
            server in
            let slow = try await server.connect("a")
            let quick = try await server.connect("a")
            try await server.streams(2)
            let data = String(repeating: "x", count: 64 * 1024)
            var number = 0
            while server.hub.streamCount == 2 {
                try await server.hub.publish("\(number) \(data)", to: "a")
                try require(
                    try await quick.next()?.data?.hasPrefix("\(number) ") == true, "the quick one misses \(number)")
                number += 1
            }
            try await server.hub.publish("after", to: "a")
            try require(try await quick.next()?.data == "after", "the wrong client was disconnected")
            try await slow.connection.close()
        },
    ]

    private static func requireEnd(of client: TestEventSource) async throws {
        var last: EventStreamParser.Element?
        while let element = try await client.nextElement() { last = element }
        try require(last == .retry(milliseconds: 1234), "the stream ended with \(String(describing: last))")
        try await client.connection.close()
    }
}

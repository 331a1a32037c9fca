// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Martlet
import MartletHTTP
import MartletTesting
import TestSupport
import Testing

@Suite(.serialized) struct LifecycleTests {
    private enum Leave: CaseIterable {
        case close, finish, reset
    }

    @Test("Thousands of clients that come and go leave nothing behind", arguments: [0, 2])
    func thousandsOfClientsThatCome(shards: Int) async throws {
        try await TestServer.run(hub: quickHub { $0.shards = shards }) { server in
            func cycle(_ leave: Leave, readsHead: Bool) async throws {
                let path = "/events/a?topic=\(Int.random(in: 0..<50))"
                let connection: TestConnection
                if readsHead {
                    connection = try await TestEventSource(port: server.port, path: path).connection
                } else {
                    connection = try await TestConnection(port: server.port)
                    try await connection.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
                }
                switch leave {
                case .close: break
                case .finish:
                    try await connection.finishSending()
                    // The server ends what nobody will ask anything of any more.
                    _ = try await connection.receiveAll()
                case .reset: return try await connection.reset()
                }
                try await connection.close()
            }
            // The listener, which stays, and its descriptor of each shard.
            try await until { sockets(on: server.port) == 1 + shards }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<8 {
                    group.addTask {
                        for round in 0..<375 {
                            let leave = Leave.allCases[(worker + round) % Leave.allCases.count]
                            try await cycle(leave, readsHead: round % 4 != 0)
                        }
                    }
                }
                for round in 0..<200 { try await server.hub.publish("\(round)", to: "a") }
                try await group.waitForAll()
            }
            try await server.until { $0.streamCount == 0 && $0.feedCount == 0 }
            try await until { sockets(on: server.port) == 1 + shards }
        }
    }

    @Test(
        "Shutting down tells every client when to come back and ends its stream",
        arguments: [TestServer.Arrangement.outerGroup, .applicationServices], [0, 2])
    func shuttingDownTellsEveryClient(
        arrangement: TestServer.Arrangement, shards: Int
    ) async throws {
        let hub = quickHub {
            $0.retry = .milliseconds(1234) ... .milliseconds(1234)
            $0.shards = shards
        }
        try await TestServer.run(hub: hub, arrangement: arrangement) { server in
            var sources: [TestEventSource] = []
            for _ in 0..<20 { sources.append(try await TestEventSource(port: server.port, path: "/events/a")) }
            sources.append(try await TestEventSource(port: server.port, path: "/events/a", version: "1.0"))
            let ticks = try await TestEventSource(port: server.port, path: "/api/events/stream")
            try await server.until { $0.streamCount == 21 }
            await server.shutDown()
            for source in sources + [ticks] {
                var last: EventStreamParser.Element?
                while let element = try await source.nextElement() { last = element }
                #expect(last == .retry(milliseconds: 1234))
                try await source.connection.close()
            }
        }
    }

    @Test("While it drains a server lets publishers go on and sends new subscribers away gently")
    func whileItDrainsAServer() async throws {
        let hub = quickHub { $0.grace = .seconds(3600) }
        try await TestServer.run(hub: hub) { server in
            let stays = try await TestEventSource(port: server.port, path: "/events/a")
            try await server.until { $0.streamCount == 1 }
            server.hub.beginDrain()
            let response = try await server.request("GET", "/events/a")
            #expect(response.status == 200)
            #expect(response.header("content-type") == "text/event-stream")
            #expect(response.body.contains("retry: "))
            // What it has seen last is still for whoever it comes to next.
            #expect(!response.body.contains("id: "))
            #expect(try await server.request("POST", "/events/a", body: "still").status == 200)
            #expect(try await stays.next()?.data == "still")
            try await stays.connection.close()
        }
    }

    @Test(
        "A client that comes back while the log is away is told when to return",
        arguments: [MartletError.Code.storageFailed, .overloaded, .notRunning])
    func whoComesBack(code: MartletError.Code) async throws {
        let hub = Hub(log: FailingLog(throwing: MartletError(code, "")), configuration: quickHub().configuration)
        try await TestServer.run(hub: hub) { server in
            let response = try await server.request("GET", "/events/a?lastEventID=1")
            #expect(response.status == 200)
            #expect(response.header("content-type") == "text/event-stream")
            #expect(response.body.contains("retry: "))
            #expect(!response.body.contains("id: "))
            #expect(try await server.request("HEAD", "/events/a?lastEventID=1").status == 503)
            #expect(server.hub.streamCount == 0 && server.hub.feedCount == 0)
        }
    }

    @Test("Above the limit of connections new ones are refused and open ones stay")
    func aboveTheLimitOfConnections() async throws {
        try await TestServer.run(maximumConnections: 2) { server in
            let first = try await TestEventSource(port: server.port, path: "/events/a")
            let second = try await TestEventSource(port: server.port, path: "/events/a")
            let refused = try await server.request("POST", "/events/a", body: "x")
            #expect(refused.status == 503)
            #expect(refused.header("retry-after") == "5")
            #expect(refused.header("content-type") == "application/problem+json")
            try await server.hub.publish("both", to: "a")
            #expect(try await first.next()?.data == "both")
            #expect(try await second.next()?.data == "both")
            try await first.connection.close()
            try await server.until { $0.streamCount == 1 }
            #expect(try await server.request("HEAD", "/events/a").status == 200)
        }
    }
}

/// The descriptors of this process that are bound to a port: a server's listener and its side of its connections.
private func sockets(on port: Int) -> Int {
    (0..<Int32(getdtablesize())).count { descriptor in
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return result == 0 && UInt16(bigEndian: address.sin_port) == port
    }
}

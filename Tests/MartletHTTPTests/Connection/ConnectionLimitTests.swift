// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Hummingbird
import Logging
import MartletTesting
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import MartletHTTP

@Suite struct ConnectionLimitTests {
    private static let origin = ["Origin": "http://localhost:3000"]

    @Test("Above the limit a new stream is sent away with the time to come back, and the rules for other origins")
    func streams() async throws {
        let hub = quickHub { $0.retry = .milliseconds(1234) ... .milliseconds(1234) }
        let cross = CrossOriginMiddleware<BasicEventStreamRequestContext>(
            allowing: ["http://localhost:3000"].compactMap { OriginPattern($0) })
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.add(middleware: cross)
            router.events("clock") { _, _, stream in try await stream.send("now") }
            router.events("orders", from: hub) { _, _ in HubStream("a") }
            router.get("ticks") { _, _ in ServerSentEvents(AsyncStream<String> { $0.finish() }) }
        }
        try await TestServer.run(hub: hub, maximumConnections: 1, adding: routes) { server in
            let held = try await TestEventSource(port: server.port, path: "/events/a")
            try await server.until { $0.streamCount == 1 }
            for path in ["/events/b", "/orders", "/clock", "/ticks"] {
                let answer = try await server.request("GET", path, headers: Self.origin)
                #expect(answer.status == 200)
                #expect(answer.header("content-type") == "text/event-stream")
                #expect(answer.header("access-control-allow-origin") == "http://localhost:3000")
                #expect(answer.body.contains("retry: ") && !answer.body.contains("data"))
            }
            #expect(try await server.request("GET", "/events/b").body.contains("retry: 1234\n"))
            #expect(server.hub.streamCount == 1 && server.hub.feedCount == 1)
            try await held.connection.close()
        }
    }

    @Test("Above the limit the other routes of a hub are answered 503, and preflights as ever")
    func others() async throws {
        let cross = CrossOriginMiddleware<BasicEventStreamRequestContext>(
            allowing: ["http://localhost:3000"].compactMap { OriginPattern($0) })
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.add(middleware: cross)
        }
        try await TestServer.run(maximumConnections: 1, adding: routes) { server in
            let held = try await TestEventSource(port: server.port, path: "/events/a")
            for (method, path) in [
                ("POST", "/events/a"), ("GET", "/health/live"), ("HEAD", "/health/ready"), ("GET", "/"),
            ] {
                let answer = try await server.request(
                    method, path, headers: Self.origin, body: method == "POST" ? "x" : "")
                #expect(answer.status == 503)
                #expect(answer.header("retry-after") == "5")
                #expect(answer.header("content-type") == "application/problem+json")
                #expect(answer.header("access-control-allow-origin") == "http://localhost:3000")
            }
            let preflight = try await server.request(
                "OPTIONS", "/events/a",
                headers: ["Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"])
            #expect(preflight.status == 204)
            // The connection ends with the answer, also where the client would send more.
            let answers = try await server.exchange(
                "POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
                    + "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(statuses(answers) == [503])
            try await server.hub.publish("only", to: "a")
            #expect(try await held.next()?.data == "only")
            try await held.connection.close()
        }
    }

    @Test("The last free place is never refused, while streams are handed off", arguments: [0, 2])
    func lastPlace(shards: Int) async throws {
        let count = 8
        try await TestServer.run(hub: quickHub { $0.shards = shards }, maximumConnections: count) { server in
            for _ in 0..<40 {
                // All of them at once: each takes its place as a channel, and keeps it as a socket.
                let clients = try await withThrowingTaskGroup(of: TestConnection.self) { group in
                    for _ in 0..<count {
                        group.addTask {
                            let client = try await TestConnection(port: server.port)
                            try await client.send("GET /events/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
                            // Only a stream that stays says where it stands.
                            _ = try await client.receive(through: "\nid: ")
                            return client
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(try await !server.request("GET", "/events/a").body.contains("id: "))
                for client in clients { try await client.close() }
                try await server.until { $0.streamCount == 0 }
            }
        }
    }

    @Test("Connections above the limit are refused, and those far above it closed and not counted")
    func counting() {
        let limit = ConnectionLimit(maximum: 2, hub: quickHub(), countsStreams: true)
        for _ in 0..<2 { #expect(limit.open() == .admitted) }
        for _ in 0..<ConnectionLimit.mostRefusals { #expect(limit.open() == .refused) }
        for _ in 0..<3 { #expect(limit.open() == .closed) }
        limit.close(.refused)
        #expect(limit.open() == .refused)
        // One that is refused and still open takes nobody's place.
        limit.close(.admitted)
        #expect(limit.open() == .admitted)
        #expect(limit.open() == .closed)
        for _ in 0..<ConnectionLimit.mostRefusals { limit.close(.refused) }
        #expect(limit.open() == .refused)
        #expect(ConnectionLimit(maximum: .max, hub: quickHub(), countsStreams: true).open() == .admitted)
    }

    @Test("Connections far above the limit are closed unheard, and none of them is counted for ever")
    func farAbove() async throws {
        try await TestServer.run(maximumConnections: 1) { server in
            let held = try await TestEventSource(port: server.port, path: "/events/a")
            try await TestConnection.withPatience {
                while true {
                    let silent = try await withThrowingTaskGroup(of: TestConnection.self) { group in
                        for _ in 0..<(2 * ConnectionLimit.mostRefusals) {
                            group.addTask { try await TestConnection(port: server.port) }
                        }
                        return try await group.reduce(into: []) { $0.append($1) }
                    }
                    let answer = try? await server.exchange("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    for connection in silent { try await connection.close() }
                    if answer?.isEmpty ?? true { break }
                }
            }
            try await held.connection.close()
            try await until { try await server.request("GET", "/health/live").status == 200 }
        }
    }

    @Test("A listener sleeps while the process has no descriptors left, and says so once")
    func noDescriptors() throws {
        let log = RecordingLog()
        let listener = EmbeddedChannel()
        AcceptPause.add(to: listener, logger: log.logger)
        AcceptPause.add(to: listener, logger: log.logger)
        listener.embeddedEventLoop.run()
        func autoRead() -> Bool? {
            listener.options.first { $0.option is ChannelOptions.Types.AutoReadOption }?.value as? Bool
        }
        for _ in 0..<3 {
            listener.pipeline.fireErrorCaught(IOError(errnoCode: EMFILE, reason: "accept"))
            #expect(autoRead() == false)
            listener.embeddedEventLoop.advanceTime(by: .milliseconds(200))
            #expect(autoRead() == true)
        }
        #expect(log.lines.count { $0.hasPrefix("warning ") } == 1)
        listener.pipeline.fireChannelRead(EmbeddedChannel() as any Channel)
        listener.pipeline.fireErrorCaught(IOError(errnoCode: ENFILE, reason: "accept"))
        #expect(log.lines.count { $0.hasPrefix("warning ") } == 2)
        listener.pipeline.fireErrorCaught(IOError(errnoCode: ECONNABORTED, reason: "accept"))
        listener.embeddedEventLoop.advanceTime(by: .milliseconds(200))
        #expect(autoRead() == true)
    }
}

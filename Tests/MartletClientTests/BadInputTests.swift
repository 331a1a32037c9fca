// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import MartletClient

/// Broken and hostile servers lead to an error or a reconnect, in bounded memory and time.
@Suite(.timeLimit(.minutes(10))) struct BadInputTests {
    private static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

    @Test(
        "A broken or incomplete answer is the reason for the reconnect",
        arguments: [
            "", "\0\0\0\0", "SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 20x OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type text/event-stream\r\n\r\n", head + "Content-Length: x\r\n\r\n",
            head + "Content-Length: 100\r\n\r\ndata: x\n\n", head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
            head + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
            head + "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: x\n\n",
            "HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 000 x\r\n\r\n", "HTTP/1.1 101 x\r\n\r\n",
            String(repeating: "HTTP/1.1 103 x\r\n\r\n", count: 1000), head + "Content-Length: -1\r\n\r\n",
            head + "Content-Length: 99999999999999999999\r\n\r\n",
        ])
    func brokenAnswer(answer: String) async throws {
        try await ScriptedServer.run { peer in
            guard peer.number == 1 else { return try await peer.answer(204) }
            try await peer.send(answer)
        } _: { server in
            let reasons = DisconnectReasons()
            var configuration = EventSource.Configuration()
            reasons.watch(&configuration)
            for try await event in EventSource(server.url, configuration: configuration) {
                #expect(event.data == "x")
            }
            let reason = try #require(reasons.all.first)
            guard case .failed = reason else { throw Unexpected(reason: reason) }
            #expect(reasons.all.count == 1)
            #expect(server.requests.count == 2)
        }
    }

    @Test("A head without an end is not kept", arguments: ["X-Filler: x\r\n", "xxxxxxxxxxxxxxxxxxxxxxxx"])
    func endlessHead(part: String) async throws {
        try await ScriptedServer.run { peer in
            guard peer.number == 1 else { return try await peer.answer(204) }
            try await peer.send("HTTP/1.1 200 OK\r\nX-First: ")
            let parts = String(repeating: part, count: 1000)
            while true { try await peer.send(parts) }
        } _: { server in
            let reasons = DisconnectReasons()
            var configuration = EventSource.Configuration()
            reasons.watch(&configuration)
            for try await _ in EventSource(server.url, configuration: configuration) {}
            #expect(reasons.all == [.failed("too many header bytes seen; overflow detected")])
            try await server.until { $0.openCount == 0 }
        }
    }

    @Test("A head that arrives byte by byte has the read timeout as a whole")
    func slowHead() async throws {
        let clock = ManualClock()
        let sent = Mutex(0)
        try await ScriptedServer.run { peer in
            guard peer.number == 1 else { return try await peer.answer(204) }
            try await peer.send("HTTP/1.1 200 OK\r\nX-Slow: ")
            while true {
                try await peer.send("x")
                sent.withLock { $0 += 1 }
                try await Task.step()
            }
        } _: { server in
            let reasons = DisconnectReasons()
            var configuration = EventSource.Configuration()
            reasons.watch(&configuration)
            configuration.readTimeout = .seconds(10)
            let source = EventSource(server.url, configuration: configuration, clock: clock)
            async let end = source.makeAsyncIterator().next()
            for _ in 0..<10 {
                let count = sent.withLock { $0 }
                try await server.until { _ in sent.withLock { $0 } > count + 10 }
                try await clock.waitForSleepers()
                clock.advance(by: .seconds(1))
            }
            try await server.until { _ in reasons.all == [.timedOut] }
            try await clock.waitForSleepers()
            clock.advance(by: Backoff.least)
            #expect(try await end == nil)
            #expect(reasons.all == [.timedOut])
        }
    }

    @Test("An event without an end stops at the bound", arguments: ["data: ", ":", "id: ", "event: ", "", "data: x\n"])
    func endlessEvent(field: String) async throws {
        try await ScriptedServer.run { peer in
            try await peer.send(Peer.stream + "data: first\n\n\(field)")
            let more = String(repeating: field.hasSuffix("\n") ? field : "x", count: 1000)
            while true { try await peer.send(more) }
        } _: { server in
            let configuration = EventSource.Configuration(maximumEventBytes: 100_000)
            let events = EventSource(server.url, configuration: configuration).makeAsyncIterator()
            #expect(try await events.next()?.data == "first")
            let error = await #expect(throws: EventSourceError.self) { try await events.next() }
            #expect(error?.code == .tooLarge)
            try await server.until { $0.openCount == 0 }
        }
    }

    @Test("An event that arrives byte by byte stops at the bound")
    func slowEvent() async throws {
        try await ScriptedServer.run { peer in
            try await peer.send(Peer.stream + "data: ")
            while true { try await peer.send("x") }
        } _: { server in
            let configuration = EventSource.Configuration(maximumEventBytes: 1000)
            let events = EventSource(server.url, configuration: configuration).makeAsyncIterator()
            let error = await #expect(throws: EventSourceError.self) { try await events.next() }
            #expect(error?.code == .tooLarge)
        }
    }

    /// Until the program asks for the next event, the server can only send as much as the sockets hold.
    @Test("Events are not read ahead")
    func readAhead() async throws {
        let event = "data: \(String(repeating: "x", count: 64 * 1024))\n\n"
        let counts = Mutex([0, 0])
        try await ScriptedServer.run { peer in
            try await peer.send(Peer.stream)
            while true {
                try await peer.send(event)
                counts.withLock { $0[peer.number - 1] += event.utf8.count }
            }
        } _: { server async throws in
            let idle = EventSource(server.url).makeAsyncIterator()
            #expect(try await idle.next() != nil)
            let other = try await TestConnection(port: server.port)
            try await other.send("GET / HTTP/1.1\r\n\r\n")
            while counts.withLock({ $0[1] < 64 << 20 }) { _ = try #require(try await other.receive()) }
            try await other.close()
            #expect(counts.withLock { $0[0] } < 32 << 20)
            #expect(try await idle.next() != nil)
        }
    }

    @Test("A source that receives comments without an end can be cancelled")
    func endlessComments() async throws {
        let count = Mutex(0)
        try await ScriptedServer.run { peer in
            try await peer.send(Peer.stream)
            while true { try await peer.send(":\n:\n:\n") }
        } _: { server in
            let configuration = EventSource.Configuration(onComment: { _ in count.withLock { $0 += 1 } })
            let source = EventSource(server.url, configuration: configuration)
            let task = Task { for try await _ in source {} }
            try await server.until { _ in count.withLock { $0 } > 1000 }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try await server.until { $0.openCount == 0 }
        }
    }

    @Test(
        "A server that asks for the longest wait is waited for, unless the program asks for a connection",
        arguments: ["\(Int.max)", String(repeating: "9", count: 1000)])
    func longestWait(retry: String) async throws {
        try await ScriptedServer.run { peer in
            guard peer.number == 1 else { return try await peer.answer(204) }
            try await peer.send(Peer.stream + "retry: \(retry)\ndata: x\n\n")
        } _: { server in
            let source = EventSource(server.url)
            let events = source.makeAsyncIterator()
            #expect(try await events.next()?.data == "x")
            async let end = events.next()
            try await server.until { _ in source.state == .waiting(Backoff.longest, .ended) }
            source.reconnect()
            #expect(try await end == nil)
        }
    }

    @Test("A certificate that is not trusted is the reason for the reconnect")
    func untrustedCertificate() async throws {
        try await ScriptedServer.run(tls: SelfSigned.context) {
            try await $0.answer(204)
        } _: { server in
            let reason = try await DisconnectReasons.first(of: "https://localhost:\(server.port)/")
            #expect(reason == .tlsFailed("CERTIFICATE_VERIFY_FAILED"))
            #expect(server.requests.isEmpty)
        }
    }

    @Test("A server without TLS is the reason for the reconnect")
    func noTLS() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.execute {
                    channel.writeAndFlush(ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n"), promise: nil)
                }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let reason = try await DisconnectReasons.first(of: "https://127.0.0.1:\(server.localAddress?.port ?? 0)/")
        #expect(reason == .tlsFailed("WRONG_VERSION_NUMBER"))
        try await server.close()
    }

    @Test("An unknown host is the reason for the reconnect")
    func unknownHost() async throws {
        #expect(try await DisconnectReasons.first(of: "http://nowhere.invalid/") == .unknownHost("nowhere.invalid"))
    }

    @Test("A refused connection is the reason for the reconnect", arguments: ["localhost", "127.0.0.1", "[::1]"])
    func refusedConnection(host: String) async throws {
        let free = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(free.localAddress?.port)
        try await free.close()
        let reason = try #require(try await DisconnectReasons.first(of: "http://\(host):\(port)/"))
        guard case .failed(let text) = reason else { throw Unexpected(reason: reason) }
        #expect(text.contains("Connection refused") || host != "127.0.0.1")
    }

    @Test("The logger reports a failed connect as a warning, and the end of a stream for debugging")
    func logging() async throws {
        let log = RecordingLog()
        try await ScriptedServer.run { peer in
            switch peer.number {
            case 1: try await peer.answer(503)
            case 2: try await peer.send(Peer.stream + "data: x\n\n")
            default: try await peer.answer(204)
            }
        } _: { server in
            let configuration = EventSource.Configuration(retry: .zero)
            for try await _ in EventSource(server.url, configuration: configuration, logger: log.logger) {}
            let lines = log.lines
            try #require(lines.count == 2)
            #expect(lines[0].hasPrefix("warning ") && lines[0].contains("The server answered 503."))
            #expect(lines[1].hasPrefix("debug ") && lines[1].contains("The stream has ended."))
        }
    }

    private struct Unexpected: Error { var reason: EventSource.DisconnectReason }
}

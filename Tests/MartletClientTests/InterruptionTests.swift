// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import EventStream
import MartletTesting
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import MartletClient

@Suite(.timeLimit(.minutes(10))) struct InterruptionTests {
    @Test("A silent stream is connected again, and any byte counts")
    func readTimeout() async throws {
        let clock = ManualClock()
        try await ScriptedServer.run { peer in
            guard peer.number == 1 else { return try await peer.answer(204) }
            try await peer.send(Peer.stream + "data: x\n\n:beat\n")
            try await peer.waitForEnd()
        } _: { server in
            var configuration = EventSource.Configuration()
            configuration.readTimeout = .seconds(10)
            let beats = Mutex(0)
            configuration.onComment = { _ in beats.withLock { $0 += 1 } }
            let source = EventSource(server.url, configuration: configuration, clock: clock)
            let events = source.makeAsyncIterator()
            #expect(try await events.next()?.data == "x")
            async let end = events.next()
            try await until { beats.withLock { $0 } > 0 }
            try await clock.waitForSleepers()
            clock.advance(by: .seconds(9))
            #expect(source.state == .open)
            clock.advance(by: .seconds(1))
            try await server.until { _ in if case .waiting = source.state { true } else { false } }
            // There is no connection while it waits.
            try await server.until { $0.endCount == 1 }
            guard case .waiting(let wait, .timedOut) = source.state else { throw Unexpected(state: source.state) }
            try await clock.waitForSleepers()
            #expect(server.requests.count == 1)
            clock.advance(by: wait)
            #expect(try await end == nil)
            #expect(server.requests.count == 2)
        }
    }

    private struct Unexpected: Error { var state: EventSource.State }

    enum Moment: CaseIterable { case connecting, streaming, waiting, left }

    @Test("Nothing is left of a source that is cancelled", arguments: Moment.allCases)
    func cancellation(moment: Moment) async throws {
        let clock = ManualClock()
        try await ScriptedServer.run { peer in
            if moment == .waiting { return try await peer.answer(503) }
            if moment != .connecting { try await peer.send(Peer.stream + "data: x\n\n") }
            try await peer.waitForEnd()
        } _: { server in
            let source = EventSource(server.url, clock: clock)
            let task = Task {
                for try await _ in source where moment == .left { return }
            }
            switch moment {
            case .connecting: try await server.until { $0.requests.count == 1 }
            case .streaming: try await server.until { _ in source.state == .open }
            case .waiting: try await server.until { _ in if case .waiting = source.state { true } else { false } }
            case .left: break
            }
            if moment != .left { task.cancel() }
            let result = await task.result
            if moment == .left {
                try result.get()
            } else {
                #expect(throws: CancellationError.self) { try result.get() }
            }
            #expect(source.state == .closed)
            #expect(clock.sleeperCount == 0)
            try await server.until { $0.endCount == 1 }
        }
    }

    @Test("A source reconnects when the program asks for it, also while it waits")
    func reconnect() async throws {
        let clock = ManualClock()
        try await ScriptedServer.run { peer in
            switch peer.number {
            case 1:
                try await peer.send(Peer.stream + "id: 1\ndata: x\n\n")
                try await peer.waitForEnd()
            case 2: try await peer.answer(503)
            default: try await peer.answer(204)
            }
        } _: { server in
            let source = EventSource(server.url, clock: clock)
            let events = source.makeAsyncIterator()
            #expect(try await events.next()?.data == "x")
            source.reconnect()
            async let end = events.next()
            try await server.until { _ in if case .waiting = source.state { true } else { false } }
            source.reconnect()
            #expect(try await end == nil)
            #expect(server.requests.count == 3)
            #expect(server.requests.dropFirst().allSatisfy { $0.contains("Last-Event-ID: 1") })
        }
    }

    @Test("A source that is cancelled at any moment leaves no connection")
    func cancelledAnytime() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let delays = (0..<200).map { Int.random(in: 0...($0.isMultiple(of: 2) ? 3000 : 20_000), using: &random) }
        try await ScriptedServer.run { peer in
            if peer.head.contains("/events ") { return try await peer.answer(307, ["Location: /moved"]) }
            while true { try await peer.send(Peer.stream + "data: x\n\n") }
        } _: { server in
            await withTaskGroup(of: Void.self) { tasks in
                for delay in delays {
                    tasks.addTask {
                        let source = EventSource(server.url)
                        let task = Task { for try await _ in source {} }
                        try? await Task.sleep(for: .microseconds(delay))
                        task.cancel()
                        await #expect(throws: CancellationError.self, "seed \(seed)") { try await task.value }
                        #expect(source.state == .closed)
                    }
                }
            }
            try await server.until { $0.openCount == 0 }
        }
    }

    @Test("No connection is kept that was made for a source which is no more")
    func idleConnections() {
        #expect(HTTPClient.Configuration.eventSources.connectionPool.idleTimeout == .zero)
    }

    @Test("A connection with itself is noticed and closed")
    func selfConnection() async throws {
        let free = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(free.localAddress)
        try await free.close()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.socketOption(.so_reuseaddr), value: 1).bind(to: address).connect(to: address).get()
        let prepare = try #require(HTTPClient.Configuration.eventSources.http1_1ConnectionDebugInitializer)
        await #expect(throws: HTTPClient.Configuration.SelfConnection.self) {
            try await channel.eventLoop.flatSubmit { prepare(channel) }.get()
        }
        try await TestConnection.withPatience { try await channel.closeFuture.get() }
    }
}

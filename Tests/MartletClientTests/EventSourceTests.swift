// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import Synchronization
import Testing

@testable import MartletClient

@Suite(.timeLimit(.minutes(10))) struct EventSourceTests {
    /// A source with the shortest waits.
    private static func source(
        _ server: ScriptedServer, path: String = "", _ configure: (inout EventSource.Configuration) -> Void = { _ in }
    ) -> EventSource {
        var configuration = EventSource.Configuration()
        configuration.retry = .zero
        configure(&configuration)
        return EventSource(server.url + path, configuration: configuration)
    }

    private static func data(_ source: EventSource) async throws -> [String] {
        try await source.reduce(into: []) { $0.append($1.data ?? "") }
    }

    @Test("A stream continues over a new connection until 204 ends it")
    func reconnecting() async throws {
        try await ScriptedServer.run { peer in
            guard peer.number < 3 else { return try await peer.answer(204) }
            try await peer.send(
                Peer.stream + ":hi\nid: \(peer.number)\ndata: \(peer.number)\n\nid: \(peer.number)b\n\n")
        } _: { server in
            let comments = Mutex<[String]>([])
            let states = Mutex<[EventSource.State]>([])
            let source = Self.source(server) {
                $0.onComment = { text in comments.withLock { $0.append(text) } }
                $0.onStateChange = { state in states.withLock { $0.append(state) } }
            }
            let data = try await Self.data(source)
            #expect(data == ["1", "2"])
            #expect(server.requests.map { $0.contains("Last-Event-ID: 1b") } == [false, true, false])
            #expect(source.lastEventID == "2b")
            #expect(comments.withLock { $0 } == ["hi", "hi"])
            #expect(states.withLock { $0.prefix(2) } == [.connecting, .open])
            #expect(states.withLock { $0.last } == .closed)
            // Each change is reported once.
            #expect(states.withLock { zip($0, $0.dropFirst()).allSatisfy { $0 != $1 } })
            try await server.until { $0.endCount == 3 }
        }
    }

    @Test("The bytes can arrive in any pieces, and invalid UTF-8 is replaced")
    func pieces() async throws {
        let stream = Array(Peer.stream.utf8) + Array("event: é\r\ndata: a".utf8) + [0xFF] + Array("\r\n\r\n".utf8)
        try await ScriptedServer.run { peer in
            guard peer.number == 1 else { return try await peer.answer(204) }
            for byte in stream { try await peer.send([byte]) }
        } _: { server in
            var events: [ServerSentEvent] = []
            for try await event in Self.source(server) { events.append(event) }
            #expect(events == [ServerSentEvent(event: "é", data: "a\u{FFFD}")])
        }
    }

    @Test("An id that a header cannot carry does not keep a source from connecting again")
    func unsendableID() async throws {
        try await ScriptedServer.run { peer in
            guard peer.number < 3 else { return try await peer.answer(204) }
            try await peer.send(Peer.stream + "id: \(peer.number)\n\nid: a\u{1}b\ndata: x\n\n")
        } _: { server in
            let source = Self.source(server)
            var ids: [String?] = []
            for try await event in source { ids.append(event.id) }
            #expect(source.lastEventID == "2")
            #expect(ids == ["a\u{1}b", "a\u{1}b"])
            #expect(server.requests.map { $0.contains("Last-Event-ID: 1") } == [false, true, false])
            #expect(server.requests.last?.contains("Last-Event-ID: 2") == true)
        }
    }

    @Test("A server that says when to come back, by its own clock, is not asked before")
    func retryAfterDate() async throws {
        try await ScriptedServer.run { peer in
            guard peer.number == 1 else { return try await peer.answer(204) }
            try await peer.answer(
                503,
                ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT"])
        } _: { server in
            let clock = ManualClock()
            let source = EventSource(server.url, clock: clock)
            async let end = source.makeAsyncIterator().next()
            try await server.until { _ in source.state == .waiting(.seconds(60), .answered(status: 503)) }
            try await clock.waitForSleepers()
            clock.advance(by: .seconds(60))
            #expect(try await end == nil)
        }
    }

    @Test("An incomplete event is dropped with its connection")
    func incompleteEvent() async throws {
        try await ScriptedServer.run { peer in
            guard peer.number == 1 else { return try await peer.answer(204) }
            try await peer.send(Peer.stream + "id: 1\ndata: whole\n\nid: 2\ndata: half\n")
            try await peer.reset()
        } _: { server in
            let source = Self.source(server)
            _ = try await Self.data(source)
            #expect(source.lastEventID != "2")
        }
    }

    @Test("A source reconnects to a server that fails")
    func failingServer() async throws {
        try await ScriptedServer.run { peer in
            switch peer.number {
            case 1: try await peer.answer(500)
            case 2: try await peer.reset()
            case 3: try await peer.send(Peer.stream + "data: x\n\n")
            default: try await peer.answer(204)
            }
        } _: { server in
            let data = try await Self.data(Self.source(server))
            #expect(data == ["x"])
        }
    }

    @Test(
        "A permanent failure ends the source with an error",
        arguments: [
            (["Content-Type: text/html"], 200, EventSourceError.Code.wrongContentType), ([], 404, .refused),
            (["Content-Type: text/event-stream", "Content-Encoding: gzip"], 200, .encoded),
            (["Location: /events"], 302, .tooManyRedirects), ([], 302, .invalidRedirect),
        ])
    func permanentFailure(
        headers: [String], status: Int, code: EventSourceError.Code
    ) async throws {
        try await ScriptedServer.run {
            try await $0.answer(status, headers)
        } _: { server in
            let error = await #expect(throws: EventSourceError.self) { try await Self.data(Self.source(server)) }
            #expect(error?.code == code)
        }
    }

    @Test("The token is fetched before each connect and stays with its origin", arguments: [301, 302, 303, 307, 308])
    func token(status: Int) async throws {
        try await ScriptedServer.run { peer in
            guard peer.number < 3 else { return try await peer.answer(204) }
            let credentials = [peer.header("Authorization"), peer.header("Cookie")].compactMap { $0 }
            try await peer.send(Peer.stream + "data: \(credentials) \(peer.header("X-Own") ?? "")\n\n")
        } _: { other in
            try await ScriptedServer.run { peer in
                if peer.head.contains("/events ") { return try await peer.answer(status, ["Location: /here"]) }
                let isOwn = peer.header("Authorization") != nil && peer.header("Cookie") == "C"
                try await peer.answer(status, ["Location: \(isOwn ? other.url : "/lost")"])
            } _: { server in
                let count = Mutex(0)
                let source = Self.source(server) {
                    $0.headers = ["Cookie": "C", "X-Own": "O"]
                    $0.token = {
                        let number = count.withLock { count in
                            count += 1
                            return count
                        }
                        return "t\(number)"
                    }
                }
                let data = try await Self.data(source)
                #expect(data == ["[] O", "[] O"])
                #expect(count.withLock { $0 } == 3)
                // A reconnect goes to where redirects have led.
                #expect(server.requests.count == 2)
                #expect(server.requests.allSatisfy { $0.contains("Bearer t1") })
                #expect(other.requests.count == 3)
                #expect(!other.requests.contains { $0.contains("Bearer") })
            }
        }
    }

    @Test("The request has the method, headers and body of the configuration")
    func requestParts() async throws {
        try await ScriptedServer.run {
            try await $0.answer(204)
        } _: { server in
            let source = Self.source(server) {
                $0.method = "POST"
                $0.headers = ["X-Own": "1"]
                $0.body = Array("body".utf8)
            }
            let data = try await Self.data(source)
            #expect(data == [])
            let head = try #require(server.requests.first?.lowercased())
            #expect(head.hasPrefix("post /events "))
            #expect(head.contains("x-own: 1") && head.contains("content-length: 4"))
        }
    }

    @Test("The events before a fault are received first")
    func eventsBeforeFault() async throws {
        try await ScriptedServer.run {
            try await $0.send(Peer.stream + "id: 1\ndata: x\n\ndata: \(String(repeating: "x", count: 200))\n\n")
        } _: { server async throws in
            let source = Self.source(server) { $0.maximumEventBytes = 100 }
            let events = source.makeAsyncIterator()
            #expect(try await events.next()?.data == "x")
            await #expect(throws: EventSourceError.self) { try await events.next() }
            #expect(source.lastEventID == "1")
        }
    }

    @Test("An event of five megabytes is received, and one over the bound ends the source")
    func largeEvent() async throws {
        let text = String(repeating: "x", count: 5 * 1024 * 1024)
        try await ScriptedServer.run { peer in
            guard peer.number < 3 else { return try await peer.answer(204) }
            try await peer.send(Peer.stream + "data: \(text)\n\n")
            try await peer.waitForEnd()
        } _: { server in
            var events = Self.source(server).makeAsyncIterator()
            #expect(try await events.next()?.data?.utf8.count == text.utf8.count)
            events = Self.source(server) { $0.maximumEventBytes = text.utf8.count - 1 }.makeAsyncIterator()
            let error = await #expect(throws: EventSourceError.self) { try await events.next() }
            #expect(error?.code == .tooLarge)
            #expect(try await events.next() == nil)
            try await server.until { $0.endCount == 2 }
        }
    }
}

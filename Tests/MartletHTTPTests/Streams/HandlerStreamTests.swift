// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Hummingbird
import HummingbirdTesting
import Martlet
import MartletHTTP
import MartletTesting
import Synchronization
import TestSupport
import Testing

/// Streams that a handler of the application writes, over everything that it may speak.
@Suite(.timeLimit(.minutes(10))) struct HandlerStreamTests {
    private struct Price: Codable, Hashable {
        var symbol: String
        var price: Double
    }

    /// Says where a handler has come to, and waits until it has.
    private final class Milestones: Sendable {
        private let reached = Mutex<Set<String>>([])
        private let changed = Signal()

        func reach(_ name: String) {
            _ = reached.withLock { $0.insert(name) }
            changed.fire()
        }

        func has(_ name: String) -> Bool { reached.withLock { $0.contains(name) } }

        func wait(for name: String) async throws {
            try await TestConnection.withPatience { try await self.changed.wait { self.has(name) ? () : nil } }
        }
    }

    private typealias Handler =
        @Sendable (Request, BasicRequestContext, EventStreamWriter) async throws -> Void

    /// An application that depends on nothing of Martlet but the stream.
    private func run(
        _ transport: Transport = .http1, options: EventStreamOptions = EventStreamOptions(),
        handler: @escaping Handler,
        _ body: @Sendable @escaping (any TestClientProtocol, StreamClient) async throws -> Void
    ) async throws {
        var options = options
        options.retry = .seconds(2) ... .seconds(2)
        let router = Router()
        router.events("stream", options: options, use: handler)
        let application = Application(router: router, server: try transport.server, logger: quiet)
        try await application.test(.live) { client in
            try await StreamClient.run(transport, port: client.port ?? 0) { try await body(client, $0) }
        }
    }

    @Test("A handler sends events, texts and values", arguments: Transport.allCases)
    func handlerSendsEventsTexts(transport: Transport) async throws {
        try await run(transport) { request, context, stream in
            try await stream.send(ServerSentEvent(event: "greeting", data: "hello\nworld", id: "1"))
            try await stream.send("text", event: "note", id: "2")
            try await stream.send(Price(symbol: "A/B", price: 1.5), event: "price")
            try await stream.send(ServerSentValue([Price(symbol: "ü", price: 2)], id: "3"))
        } _: { _, client async throws in
            let stream = try await client.get("/stream")
            #expect(stream.status == 200)
            #expect(stream.headers["content-type"] == "text/event-stream")
            #expect(stream.headers["cache-control"] == "no-cache, no-transform")
            #expect(stream.headers["x-accel-buffering"] == "no")
            #expect(try await stream.nextElement() == .comment(""))
            #expect(try await stream.nextElement() == .retry(milliseconds: 2000))
            #expect(try await stream.next() == ServerSentEvent(event: "greeting", data: "hello\nworld", id: "1"))
            #expect(try await stream.next() == ServerSentEvent(event: "note", data: "text", id: "2"))
            #expect(try await stream.next()?.data == #"{"price":1.5,"symbol":"A/B"}"#)
            #expect(try await stream.next() == ServerSentEvent(data: #"[{"price":2,"symbol":"ü"}]"#, id: "3"))
            #expect(try await stream.nextElement() == .retry(milliseconds: 2000))
            #expect(try await stream.nextElement() == nil)
        }
    }

    @Test("A handler is told what the client saw last")
    func handlerIsTold() async throws {
        try await run { _, _, stream in
            try await stream.send(stream.lastEventID ?? "nothing")
        } _: { client, _ async throws in
            for try await event in client.events("/stream") { #expect(event.data == "nothing") }
            for try await event in client.events("/stream", lastEventID: "7") { #expect(event.data == "7") }
            for try await event in client.events("/stream?lastEventID=8") { #expect(event.data == "8") }
        }
    }

    @Test("A handler is cancelled when its client leaves, whatever it waits for", arguments: Transport.allCases)
    func handlerIsCancelled(transport: Transport) async throws {
        let milestones = Milestones()
        try await run(transport) { _, _, stream in
            try await stream.send("hello")
            do {
                try await Task.sleep(for: .seconds(3600))
            } catch is CancellationError {
                milestones.reach("cancelled")
                throw CancellationError()
            }
        } _: { test, client async throws in
            try await StreamClient.run(transport, port: test.port ?? 0) { other async throws in
                let first = try await other.get("/stream").next()
                #expect(first?.data == "hello")
                #expect(!milestones.has("cancelled"))
            }
            try await milestones.wait(for: "cancelled")
        }
    }

    @Test("A handler that sends faster than its client reads waits", arguments: Transport.allCases)
    func whoSendsFaster(transport: Transport) async throws {
        let sent = Mutex(0)
        try await run(transport) { _, _, stream in
            let data = String(repeating: "x", count: 64 * 1024)
            for number in 0..<1000 {
                try await stream.send("\(number) \(data)")
                sent.withLock { $0 += 1 }
            }
        } _: { _, client async throws in
            let stream = try await client.get("/stream")
            // 64 MB do not fit into the buffers between the two, so whoever does not wait would be done soon.
            for number in 0..<100 {
                #expect(try await stream.next()?.data?.hasPrefix("\(number) ") == true)
                #expect(sent.withLock { $0 } < number + 500)
            }
        }
    }

    @Test("An error that a handler throws before it sends anything is the answer", arguments: Transport.allCases)
    func whatAHandlerThrowsBefore(transport: Transport) async throws {
        // Its time does not pass, so that a busy machine has enough.
        let options = EventStreamOptions(clock: ManualClock())
        try await run(transport, options: options) { request, _, _ in
            switch request.uri.query {
            case "none": throw NoMoreEvents()
            case "bug": throw CocoaError(.fileNoSuchFile)
            default: throw HTTPError(.notFound, message: "No such order.")
            }
        } _: { _, client async throws in
            for (query, status) in [("", 404), ("?none", 204), ("?bug", 500)] {
                let answer = try await client.get("/stream" + query)
                #expect(answer.status == status)
            }
        }
    }

    @Test("An error that a handler throws later ends the stream properly", arguments: Transport.allCases)
    func whatAHandlerThrowsLater(transport: Transport) async throws {
        try await run(transport) { _, _, stream in
            try await stream.send("first")
            throw CocoaError(.fileNoSuchFile)
        } _: { _, client async throws in
            let stream = try await client.get("/stream")
            #expect(try await stream.next()?.data == "first")
            #expect(try await stream.nextElement() == .retry(milliseconds: 2000))
            #expect(try await stream.nextElement() == nil)
        }
    }

    @Test("An event that cannot be written is refused, and the stream goes on")
    func whatCannotBeWritten() async throws {
        try await run { _, _, stream in
            await #expect(throws: EventStreamError.self) { try await stream.send("a", id: "1\n2") }
            await #expect(throws: EventStreamError.self) { try await stream.send("a", event: "x\rdata: forged") }
            await #expect(throws: EventStreamError.self) { try await stream.send(ServerSentEvent(id: "\0")) }
            await #expect(throws: EventStreamError.self) { try await stream.send(ServerSentEvent(retry: -1)) }
            await #expect(throws: EventValueError.self) { try await stream.send(Price(symbol: "A", price: .nan)) }
            try await stream.send("a\r\nb\rc\u{0}")
        } _: { client, _ async throws in
            var events: [ServerSentEvent] = []
            for try await event in client.events("/stream") { events.append(event) }
            #expect(events == [ServerSentEvent(data: "a\nb\nc\u{0}")])
        }
    }

    @Test("Sending after the end is an error")
    func sendingAfterTheEnd() async throws {
        let (writers, writer) = AsyncStream.makeStream(of: EventStreamWriter.self)
        try await run { _, _, stream in
            try await stream.send("only")
            writer.yield(stream)
        } _: { client, _ async throws in
            var events = client.events("/stream").makeAsyncIterator()
            #expect(try await events.next()?.data == "only")
            #expect(try await events.next() == nil)
            let stream = try #require(await writers.first { _ in true })
            let error = await #expect(throws: (any Error).self) { try await stream.send("more") }
            #expect(error is EventStreamClosed || error is CancellationError)
        }
    }

    @Test("A silent stream shows that it is alive, and one that says something needs not")
    func silentStreamShows() async throws {
        let clock = ManualClock()
        let options = EventStreamOptions(clock: clock)
        let (texts, text) = AsyncStream.makeStream(of: String.self)
        try await run(options: options) { _, _, stream in
            for await text in texts { try await stream.send(text) }
        } _: { _, client async throws in
            text.yield("hello")
            let stream = try await client.get("/stream")
            #expect(try await stream.next()?.data == "hello")
            for _ in 0..<3 {
                try await clock.waitForSleepers()
                clock.advance(by: .seconds(15))
            }
            // The first beat came after an event, so it was silent.
            #expect(try await stream.nextElement() == .comment(""))
            text.yield("more")
            while let element = try await stream.nextElement() {
                if case .event(let event) = element {
                    #expect(event.data == "more")
                    break
                }
                #expect(element == .comment(""))
            }
            text.finish()
        }
    }

    @Test("The head does not wait for a handler that takes its time")
    func headDoesNotWait() async throws {
        let clock = ManualClock()
        let options = EventStreamOptions(clock: clock)
        let (texts, text) = AsyncStream.makeStream(of: String.self)
        try await run(options: options) { _, _, stream in
            for await text in texts { try await stream.send(text) }
        } _: { _, client async throws in
            async let opened = client.get("/stream")
            try await clock.waitForSleepers()
            clock.advance(by: .seconds(5))
            let stream = try await opened
            #expect(stream.status == 200)
            text.yield("late")
            #expect(try await stream.next()?.data == "late")
            text.finish()
        }
    }

    @Test("A handler may open the stream before it has anything to send")
    func handlerMayOpenTheStream() async throws {
        let (texts, text) = AsyncStream.makeStream(of: String.self)
        let options = EventStreamOptions(clock: ManualClock())
        try await run(options: options) { _, _, stream in
            try await stream.open()
            for await text in texts { try await stream.send(text) }
        } _: { _, client async throws in
            let stream = try await client.get("/stream")
            #expect(stream.status == 200)
            text.yield("late")
            #expect(try await stream.next()?.data == "late")
            text.finish()
        }
    }

    @Test("A client that takes nothing is disconnected")
    func clientThatTakesNothing() async throws {
        let milestones = Milestones()
        try await run(options: EventStreamOptions(heartbeat: .milliseconds(200))) { _, _, stream in
            let data = String(repeating: "x", count: 1024 * 1024)
            do {
                while true { try await stream.send(data) }
            } catch {
                #expect(error is CancellationError)
                milestones.reach("cancelled")
                throw error
            }
        } _: { test, _ async throws in
            let connection = try await TestConnection(port: test.port ?? 0)
            try await connection.send("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try await milestones.wait(for: "cancelled")
            try await connection.close()
        }
    }

    @Test("Several tasks of a handler may send at once")
    func severalTasksOfAHandler() async throws {
        try await run { _, _, stream in
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for number in 0..<100 {
                    tasks.addTask { try await stream.send("\(number)\n\(String(repeating: "x", count: 10_000))") }
                }
                try await tasks.waitForAll()
            }
        } _: { client, _ async throws in
            var numbers: Set<Substring> = []
            for try await event in client.events("/stream") {
                let lines = try #require(event.data?.split(separator: "\n"))
                #expect(lines.count == 2)
                #expect(lines[1].count == 10_000)
                numbers.insert(lines[0])
            }
            #expect(numbers.count == 100)
        }
    }

    @Test("A server that shuts down ends the stream, and what was sent arrives", arguments: Transport.allCases)
    func serverThatShutsDownEnds(transport: Transport) async throws {
        let milestones = Milestones()
        func add(_ router: Router<BasicEventStreamRequestContext>) {
            router.events("stream") { _, _, stream in
                try await stream.send("hello")
                do {
                    try await Task.sleep(for: .seconds(3600))
                } catch {
                    milestones.reach("cancelled")
                    throw error
                }
            }
        }
        try await TestServer.run(speaking: try transport.server, adding: add) { server in
            try await StreamClient.run(transport, port: server.port) { client in
                let stream = try await client.get("/stream")
                #expect(try await stream.next()?.data == "hello")
                await server.shutDown()
                guard case .retry = try await stream.nextElement() else {
                    Issue.record("the stream was cut")
                    return
                }
                // The server of HTTP/2 closes the connection of the last stream without the end of that.
                if transport != .http2 { #expect(try await stream.nextElement() == nil) }
                try await milestones.wait(for: "cancelled")
            }
        }
    }

    @Test("HEAD answers the head and does not run the handler")
    func headAnswersTheHead() async throws {
        try await run { _, _, _ in
            Issue.record("the handler ran")
        } _: { client, _ async throws in
            try await client.execute(uri: "/stream", method: .head) { response in
                #expect(response.status == .ok)
                #expect(response.headers[.contentType] == "text/event-stream")
            }
        }
    }
}

extension Array where Element: Sendable {
    /// The elements, one after the other.
    var async: AsyncStream<Element> {
        AsyncStream { continuation in
            for element in self { continuation.yield(element) }
            continuation.finish()
        }
    }
}

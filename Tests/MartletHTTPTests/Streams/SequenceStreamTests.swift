// SPDX-License-Identifier: Apache-2.0

import EventStream
import Hummingbird
import HummingbirdTesting
import MartletHTTP
import MartletTesting
import TestSupport
import Testing

/// Answers that are sequences.
@Suite(.timeLimit(.minutes(10))) struct SequenceStreamTests {
    private struct Failure: Error {}

    private func run<Answer: ResponseGenerator>(
        _ transport: Transport = .http1, _ answer: @escaping @Sendable (Request) -> Answer,
        _ body: @Sendable @escaping (any TestClientProtocol, StreamClient) async throws -> Void
    ) async throws {
        let router = Router()
        router.get("stream") { request, _ in answer(request) }
        let application = Application(router: router, server: try transport.server, logger: quiet)
        try await application.test(.live) { client in
            try await StreamClient.run(transport, port: client.port ?? 0) { try await body(client, $0) }
        }
    }

    @Test("A sequence of events, texts or values is a stream", arguments: Transport.allCases)
    func sequenceOfEventsTexts(transport: Transport) async throws {
        try await run(transport) { request in
            switch request.uri.query {
            case "events": ServerSentEvents([ServerSentEvent(data: "a", id: "1")].async)
            case "texts": ServerSentEvents(["two\nlines", ""].async)
            case "values": ServerSentEvents([["key": 1], ["key": 2]].async)
            default: ServerSentEvents([ServerSentValue("text", event: "note", id: "7"), ServerSentValue("")].async)
            }
        } _: { _, client async throws in
            func events(_ path: String) async throws -> [ServerSentEvent] {
                let stream = try await client.get(path)
                #expect(stream.headers["content-type"] == "text/event-stream")
                var events: [ServerSentEvent] = []
                while let event = try await stream.next() { events.append(event) }
                return events
            }
            #expect(try await events("/stream?events") == [ServerSentEvent(data: "a", id: "1")])
            #expect(try await events("/stream?texts").map(\.data) == ["two\nlines", ""])
            #expect(try await events("/stream?values").map(\.data) == [#"{"key":1}"#, #"{"key":2}"#])
            let items = try await events("/stream?items")
            #expect(items.first == ServerSentEvent(event: "note", data: #""text""#, id: "7"))
            #expect(items.last?.data == #""""# && items.last?.event == nil)
        }
    }

    @Test("A sequence that fails ends its stream properly")
    func sequenceThatFailsEnds() async throws {
        try await run { _ in
            ServerSentEvents(
                AsyncThrowingStream<String, any Error> { continuation in
                    continuation.yield("first")
                    continuation.finish(throwing: Failure())
                })
        } _: { client, _ async throws in
            var data: [String?] = []
            for try await event in client.events("/stream") { data.append(event.data) }
            #expect(data == ["first"])
        }
    }

    @Test("A sequence is let go when its client leaves")
    func sequenceIsLetGo() async throws {
        let (terminations, terminated) = AsyncStream.makeStream(of: Void.self)
        try await run { _ in
            ServerSentEvents(
                AsyncStream<String> { continuation in
                    continuation.yield("hello")
                    continuation.onTermination = { _ in terminated.yield() }
                })
        } _: { client, _ async throws in
            for try await event in client.events("/stream") {
                #expect(event.data == "hello")
                break
            }
            try await TestConnection.withPatience { _ = await terminations.first { _ in true } }
        }
    }

    @Test("A test client says why there are no events")
    func testClientSaysWhyThere() async throws {
        try await run { _ in
            Response(status: .forbidden)
        } _: { client, _ async throws in
            await #expect(throws: TestEvents.Refused(status: 403)) {
                for try await _ in client.events("/stream") {}
            }
        }
    }
}

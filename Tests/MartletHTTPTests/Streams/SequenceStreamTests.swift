// SPDX-License-Identifier: Apache-2.0

import EventStream
import Hummingbird
import HummingbirdTesting
import MartletHTTP
import MartletTesting
import TestSupport
import Testing

/// Answers that are sequences.
@Suite(.timeLimit(.minutes(3))) struct SequenceStreamTests {
    private struct Failure: Error {}

    private func run(
        _ transport: Transport = .http1, _ response: @escaping @Sendable (Request) -> Response,
        _ body: @Sendable @escaping (any TestClientProtocol, StreamClient) async throws -> Void
    ) async throws {
        let router = Router()
        router.get("stream") { request, _ in response(request) }
        let application = Application(router: router, server: try transport.server, logger: quiet)
        try await application.test(.live) { client in
            try await StreamClient.run(transport, port: client.port ?? 0) { try await body(client, $0) }
        }
    }

    @Test(arguments: Transport.allCases)
    func `a sequence of events, texts or values is a stream`(transport: Transport) async throws {
        try await run(transport) { request in
            switch request.uri.query {
            case "events": Response(events: [ServerSentEvent(data: "a", id: "1")].async, to: request)
            case "texts": Response(events: ["two\nlines", ""].async, to: request)
            default: Response(events: [["key": 1], ["key": 2]].async)
            }
        } _: { _, client async throws in
            func data(_ path: String) async throws -> [String?] {
                let stream = try await client.get(path)
                #expect(stream.headers["content-type"] == "text/event-stream")
                var data: [String?] = []
                while let event = try await stream.next() { data.append(event.data) }
                return data
            }
            #expect(try await data("/stream?events") == ["a"])
            #expect(try await data("/stream?texts") == ["two\nlines", ""])
            #expect(try await data("/stream?values") == [#"{"key":1}"#, #"{"key":2}"#])
        }
    }

    @Test func `a sequence that fails ends its stream properly`() async throws {
        try await run { request in
            Response(
                events: AsyncThrowingStream<String, any Error> { continuation in
                    continuation.yield("first")
                    continuation.finish(throwing: Failure())
                }, to: request)
        } _: { client, _ async throws in
            var data: [String?] = []
            for try await event in client.events("/stream") { data.append(event.data) }
            #expect(data == ["first"])
        }
    }

    @Test(arguments: [true, false])
    func `a sequence is let go when its client leaves`(knowsRequest: Bool) async throws {
        let (terminations, terminated) = AsyncStream.makeStream(of: Void.self)
        var options = EventStreamOptions()
        options.heartbeat = .milliseconds(50)
        let quick = options
        try await run { request in
            let texts = AsyncStream<String> { continuation in
                continuation.yield("hello")
                continuation.onTermination = { _ in terminated.yield() }
            }
            // Who does not know the request learns from what cannot be written.
            return knowsRequest ? Response(events: texts, to: request) : Response(events: texts, options: quick)
        } _: { client, _ async throws in
            for try await event in client.events("/stream") {
                #expect(event.data == "hello")
                break
            }
            try await TestConnection.withPatience { _ = await terminations.first { _ in true } }
        }
    }

    @Test func `a test client says why there are no events`() async throws {
        try await run { _ in
            Response(status: .forbidden)
        } _: { client, _ async throws in
            await #expect(throws: TestEvents.Refused(status: 403)) {
                for try await _ in client.events("/stream") {}
            }
        }
    }
}

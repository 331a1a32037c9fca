// SPDX-License-Identifier: Apache-2.0

import EventStream
import Testing

@testable import MartletClient

@Suite(.timeLimit(.minutes(10))) struct ListenerTests {
    private static let stream =
        "data: 1\n\nevent: price\ndata: 2\n\nevent: message\ndata: 3\n\nevent: Price\ndata: 4\n\nevent: price\ndata: 5\n\n"

    private static func run(_ body: @escaping @Sendable (EventSource) async throws -> Void) async throws {
        try await ScriptedServer.run { peer in
            guard peer.number == 1 else { return try await peer.answer(204) }
            try await peer.send(Peer.stream + stream)
        } _: { server in
            let configuration = EventSource.Configuration(retry: .zero)
            try await body(EventSource(server.url, configuration: configuration))
            try await server.until { $0.openCount == 0 }
        }
    }

    @Test(
        "A sequence has the events of one type",
        arguments: [("message", ["1", "3"]), ("price", ["2", "5"]), ("other", []), ("", [])])
    func eventsOfType(type: String, data: [String]) async throws {
        try await Self.run { source in
            let events = try await source.events(ofType: type).reduce(into: []) { $0.append($1.data) }
            #expect(events == data)
        }
    }

    private actor Board {
        var prices: [String] = []
        var messages: [String] = []

        /// The listeners run on this actor, so they can change its state.
        func follow(_ source: EventSource) async throws {
            try await source.listen(to: [
                "price": { self.prices.append($0.data ?? "") }, "message": { self.messages.append($0.data ?? "") },
            ])
        }
    }

    @Test("The listener of its type receives each event, on the caller's actor")
    func listeners() async throws {
        try await Self.run { source in
            let board = Board()
            try await board.follow(source)
            #expect(await board.prices == ["2", "5"])
            #expect(await board.messages == ["1", "3"])
        }
    }

    @Test("The error of a listener ends the loop, and the next loop continues")
    func listenerError() async throws {
        struct Enough: Error {}
        try await Self.run { source in
            var heard: [String?] = []
            await #expect(throws: Enough.self) {
                try await source.listen(to: [
                    "message": { heard.append($0.data) },
                    "price": { event in
                        heard.append(event.data)
                        throw Enough()
                    },
                ])
            }
            #expect(heard == ["1", "2"])
            #expect(source.state == .closed)
        }
    }
}

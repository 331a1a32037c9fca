// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Hummingbird
import Martlet
import MartletHTTP
import MartletTesting
import Synchronization
import TestSupport
import Testing

/// Counts the requests that the front door leaves to the router.
private final class Witness: RouterMiddleware {
    private let seen = Atomic(0)

    var count: Int { seen.load(ordering: .sequentiallyConsistent) }

    func handle(
        _ request: Request, context: BasicEventStreamRequestContext,
        next: (Request, BasicEventStreamRequestContext) async throws -> Response
    ) async throws -> Response {
        seen.add(1, ordering: .sequentiallyConsistent)
        return try await next(request, context)
    }
}

@Suite("Mercure at the front door") struct MercureFrontDoorTests {
    @Test("Subscribing and publishing are answered there, with a token and without, beside the routes of the hub")
    func answeredAtTheDoor() async throws {
        let witness = Witness()
        func routes(_ router: Router<BasicEventStreamRequestContext>) { router.add(middleware: witness) }
        try await MercureServer.run(adding: routes) { mercure in
            // The server answers until the door is open.
            try await until {
                let before = witness.count
                try await mercure.listen("topic=warm").connection.close()
                return witness.count == before
            }
            let before = witness.count
            let source = try await mercure.listen("topic=a")
            let known = try await mercure.listen("topic=a", token: "all")
            let plain = try await TestEventSource(port: mercure.server.port, path: "/events/a")
            let publisher = try await TestConnection(port: mercure.server.port)
            try await publisher.send(
                "POST /.well-known/mercure HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all\r\n"
                    + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 14\r\n\r\ntopic=a&data=1")
            let answer = String(decoding: try await publisher.receive() ?? [], as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 200 OK"))
            try await publisher.close()
            for stream in [source, known, plain] { #expect(try await stream.next()?.data == "1") }
            let resumed = try await mercure.listen("topic=a", lastEventID: "earliest")
            #expect(try await resumed.next()?.data == "1")
            #expect(witness.count == before)
            // What is refused is left to the server.
            #expect(try await mercure.post("data=1").status == 400)
            #expect(witness.count == before + 1)
        }
    }
}
#endif

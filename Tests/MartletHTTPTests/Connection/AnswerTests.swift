// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import MartletTesting
import NIOCore
import TestSupport
import Testing

@testable import MartletHTTP

/// What routes of an application may answer, through the whole pipeline.
@Suite struct AnswerTests {
    private static let last = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    @Test("A status that is none is answered 500, and the connection goes on", arguments: [0, 7, 99, 101])
    func oddStatus(code: Int) async throws {
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.get("odd") { _, _ in
                Response(
                    status: .init(code: code, reasonPhrase: "a\r\nX: y"), headers: [.contentType: "a\r\nX: y"],
                    body: ResponseBody(byteBuffer: ByteBuffer(string: "body")))
            }
        }
        try await TestServer.run(adding: routes) { server in
            let answers = try await server.exchange("GET /odd HTTP/1.1\r\nHost: localhost\r\n\r\n" + Self.last)
            #expect(statuses(answers) == [500, 200])
            #expect(!answers.contains("\r\nX: y") && !answers.contains("body"))
        }
    }

    @Test("Line breaks in what a route answers do not become fields of the head")
    func lineBreaks() async throws {
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.get("odd") { _, _ in
                let headers: HTTPFields = [.contentType: "a\r\nX: y", .location: "\0\u{301}\n"]
                return Response(
                    status: .init(code: 299, reasonPhrase: "b\r\nX: y"), headers: headers,
                    body: ResponseBody(byteBuffer: ByteBuffer(string: "body")))
            }
        }
        try await TestServer.run(adding: routes) { server in
            let answers = try await server.exchange("GET /odd HTTP/1.1\r\nHost: localhost\r\n\r\n" + Self.last)
            #expect(statuses(answers) == [299, 200])
            #expect(!answers.contains("\r\nX: y") && answers.contains("\r\n\r\nbodyHTTP/1.1 200"))
        }
    }

    @Test("An answer that cannot have a body has none, whatever the route writes", arguments: [204, 304])
    func bodiless(code: Int) async throws {
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.get("odd") { _, _ in
                Response(
                    status: .init(code: code),
                    body: ResponseBody { writer in
                        try await writer.write(ByteBuffer(string: "HTTP/1.1 599 Smuggled\r\n\r\n"))
                        try await writer.finish(nil)
                    })
            }
        }
        try await TestServer.run(adding: routes) { server in
            let answers = try await server.exchange("GET /odd HTTP/1.1\r\nHost: localhost\r\n\r\n" + Self.last)
            #expect(statuses(answers) == [code, 200])
        }
    }

    @Test("An answer that its route does not end ends the connection", arguments: [true, false])
    func unfinished(throwing: Bool) async throws {
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.get("odd") { _, _ in
                Response(
                    status: .ok,
                    body: ResponseBody { writer in
                        try await writer.write(ByteBuffer(string: "part"))
                        if throwing { throw CancellationError() }
                    })
            }
        }
        try await TestServer.run(adding: routes) { server in
            let answers = try await server.exchange("GET /odd HTTP/1.1\r\nHost: localhost\r\n\r\n" + Self.last)
            #expect(statuses(answers) == [200])
            #expect(!answers.contains("0\r\n\r\n"))
        }
    }

    @Test("A client that takes none of its answers is let go, and its place is free")
    func neverReads() async throws {
        let hub = quickHub { $0.writeTimeout = .milliseconds(100) }
        let large = ByteBuffer(repeating: UInt8(ascii: "x"), count: 4 * 1024 * 1024)
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.get("large") { _, _ in Response(status: .ok, body: ResponseBody(byteBuffer: large)) }
        }
        try await TestServer.run(hub: hub, maximumConnections: 1, adding: routes) { server in
            let greedy = try await TestConnection(port: server.port)
            try await greedy.send(String(repeating: "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 50))
            try await until { try await server.request("GET", "/health/live").status == 200 }
            try? await greedy.close()
        }
    }

    @Test("A client that goes on sending behind a refusal is let go, and its place is free", arguments: [1, 1_000_000])
    func goesOnSending(pieceBytes: Int) async throws {
        try await TestServer.run(maximumConnections: 1) { server in
            let client = try await TestConnection(port: server.port)
            try await client.send(
                "POST /events/a HTTP/1.1\r\nHost: localhost\r\nOrigin: https://elsewhere.example\r\n"
                    + "Content-Length: 1000000000\r\n\r\n")
            // The answer arrives, although more was sent than the server reads.
            let piece = [UInt8](repeating: 0x61, count: pieceBytes)
            try await client.send(piece)
            #expect(statuses(try await client.receive(through: "\r\n\r\n")) == [403])
            try await TestConnection.withPatience {
                while try await server.request("GET", "/health/live").status != 200 { try? await client.send(piece) }
            }
            try? await client.close()
        }
    }

    @Test("A client that asks, says that it will ask nothing more, and then reads slowly gets all of its answer")
    func halfClosed() async throws {
        let large = ByteBuffer(repeating: UInt8(ascii: "x"), count: 16 * 1024 * 1024)
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.get("large") { _, _ in Response(status: .ok, body: ResponseBody(byteBuffer: large)) }
        }
        try await TestServer.run(adding: routes) { server in
            for request in ["GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /large HTTP/1.0\r\n\r\n"] {
                let answer = TestResponse(try await server.exchange(request, finishing: true))
                #expect(answer.body.utf8.count == large.readableBytes)
            }
        }
    }
}

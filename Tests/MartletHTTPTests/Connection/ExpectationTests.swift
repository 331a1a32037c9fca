// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import MartletTesting
import TestSupport
import Testing

@testable import MartletHTTP

/// `Expect: 100-continue`, RFC 9110 section 10.1.1.
@Suite struct ExpectationTests {
    private static func post(_ fields: String, to path: String = "/events/a") -> String {
        "POST \(path) HTTP/1.1\r\nHost: localhost\r\nExpect: 100-Continue\r\n\(fields)\r\n"
    }

    @Test(
        "A client is asked for its body, and then answered",
        arguments: ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"])
    func asked(framing: String) async throws {
        try await TestServer.run { server in
            let connection = try await TestConnection(port: server.port)
            for _ in 0..<2 {
                try await connection.send(Self.post(framing))
                #expect(try await connection.receive(through: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
                try await connection.send(framing.hasPrefix("C") ? "hello" : "5\r\nhello\r\n0\r\n\r\n")
                #expect(statuses(try await connection.receive(through: "\r\n\r\n")) == [200])
            }
            try await connection.close()
        }
    }

    @Test("A body that is declared too long is refused before it is asked for")
    func tooLong() async throws {
        try await TestServer.run { server in
            for length in ["1048577", "18446744073709551615"] {
                let answer = try await server.exchange(Self.post("Content-Length: \(length)\r\n"))
                #expect(statuses(answer) == [413])
                #expect(TestResponse(answer).header("connection") == "close")
            }
        }
    }

    @Test("No 100 Continue goes to a refused client, one without a body, or one of HTTP/1.0")
    func notAsked() async throws {
        try await TestServer.run { (server: TestServer) async throws in
            let origin = Self.post("Content-Length: 5\r\nOrigin: https://elsewhere.example\r\n")
            #expect(statuses(try await server.exchange(origin)) == [403])
            #expect(
                statuses(try await server.exchange(Self.post("Content-Length: 0\r\nConnection: close\r\n"))) == [200])
            let get =
                "GET /health/live HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
            #expect(statuses(try await server.exchange(get)) == [200])
            let old =
                "POST /events/a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\nHost: localhost\r\n\r\nhello"
            #expect(statuses(try await server.exchange(old)) == [200])
        }
    }

    @Test("A client that does not wait to be asked is answered at once")
    func impatient() async throws {
        try await TestServer.run { server in
            let request = Self.post("Content-Length: 5\r\n") + "hello"
            let answers = try await server.exchange(
                request + request + "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            #expect(statuses(answers).filter { $0 != 100 } == [200, 200, 200])
        }
    }

    @Test("A client is asked for its body behind the answers to its earlier requests")
    func inOrder() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.get("slow") { _, _ in
                _ = await gate.first { _ in true }
                return "slow"
            }
        }
        try await TestServer.run(adding: routes) { server in
            let connection = try await TestConnection(port: server.port)
            try await connection.send(
                "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n" + Self.post("Content-Length: 5\r\n"))
            // Answered on the same event loop or another, later than a 100 that did not wait would have been sent.
            #expect(try await server.request("GET", "/health/live").status == 200)
            open.yield()
            let first = try await connection.receive(through: "100 Continue\r\n\r\n")
            #expect(statuses(first) == [200, 100])
            try await connection.send("hello")
            #expect(statuses(try await connection.receive(through: "\r\n\r\n")) == [200])
            try await connection.close()
        }
    }

    @Test("Routes of the application that read a body have it asked for, too")
    func ownRoutes() async throws {
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.post("echo") { request, _ in try await request.body.collect(upTo: 100) }
            router.events("upload") { request, _, stream in
                for try await part in request.body { try await stream.send(String(buffer: part)) }
            }
        }
        try await TestServer.run(adding: routes) { server in
            let connection = try await TestConnection(port: server.port)
            try await connection.send(Self.post("Content-Length: 5\r\n", to: "/echo"))
            #expect(statuses(try await connection.receive(through: "\r\n\r\n")) == [100])
            try await connection.send("hello")
            #expect(try await connection.receive(through: "hello").hasPrefix("HTTP/1.1 200"))
            try await connection.close()
            let stream = try await TestConnection(port: server.port)
            try await stream.send(
                "GET /upload HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            #expect(statuses(try await stream.receive(through: "\r\n\r\n")) == [100])
            try await stream.send("hello")
            #expect(try await stream.receiveAll().contains("data: hello"))
            try await stream.close()
        }
    }
}

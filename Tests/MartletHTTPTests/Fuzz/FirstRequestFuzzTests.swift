// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP
import MartletTesting
import TestSupport
import Testing

/// What comes first on a connection, through real sockets and the whole pipeline of the server.
@Suite struct FirstRequestFuzzTests {
    private static let corpus = [
        "GET /events/a HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 1\r\n\r\n",
        "GET /events/a?topic=b&lastEventID=earliest&stream=s HTTP/1.0\r\nHost: localhost\r\n\r\n",
        "HEAD /events/a?since=15m HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /events/a?type=t&id=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
        "POST /events/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "POST /events/a?live=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/event-stream\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n",
        "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nIdempotency-Key: k\r\n"
            + "Content-Length: 29\r\n\r\n{\"topic\":\"a\",\"data\":\"hello\"}\n",
        "POST /events/a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            + "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
            + "GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET http://localhost/events/a HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}",
    ]

    private static let pieces = [
        "\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":", ",", ";", "=", "&", "?", "/", "//", "%", "%00", "%2F", "%FF",
        "*", "#",
        "@", "[", "]", "{", "}", "\"", "\0", "\u{7F}", "\u{E9}", "\u{301}", "\u{FE0F}", "\u{1F426}", "HTTP/1.1",
        "HTTP/1.0",
        "HTTP/0.9", "HTTP/2.0", "HTTP/1.1\r\n", "GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "CONNECT ", "QUERY ",
        "BREW ",
        "Host: localhost\r\n", "Host: \r\n", "Host: a b\r\n", "Content-Length: 5\r\n", "Content-Length: 5, 5\r\n",
        "Content-Length: -1\r\n", "Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: identity\r\n", "Trailer: A\r\n", "5\r\nhello\r\n",
        "0\r\n\r\n", "0\r\nA: b\r\n\r\n", "zz\r\n", "5;a=\"b\"\r\n", "FFFFFFFFFFFFFFFF\r\n", "Expect: 100-continue\r\n",
        "Expect: 200-ok\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "Connection: close\r\n",
        "Connection: keep-alive\r\n", "Last-Event-ID: ", "Cookie: mercureAuthorization=",
        "Authorization: Bearer a.b.c\r\n",
        "Origin: null\r\n", "Event-Type: \u{301}\r\n", "Event-Retry: 99999999999999999999\r\n",
        "Idempotency-Key: \"\r\n",
        "Accept: text/event-stream\r\n", "/events", "/events/", "/events/a", "/.well-known/mercure?topic=",
        "?lastEventID=", "?live=1", "data: 3\n\n",
        "&since=99999999999d", "http://localhost", "http://", "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "X: " + String(repeating: "x", count: 9000) + "\r\n",
    ]

    /// 500 would be a fault of the server, and 503 one of the test.
    private static let impossible = ["HTTP/1.1 500", "HTTP/1.0 500", "HTTP/1.1 503", "HTTP/1.0 503"]

    @Test("The server answers any bytes properly or not at all, and keeps nothing of them")
    func answersAnything() async throws {
        let hub = quickHub(retention: Retention(events: 100)) { $0.windowBytes = 1024 * 1024 }
        try await TestServer.run(hub: hub) { server in
            await withTaskGroup(of: Void.self) { group in
                for worker in 0..<Self.workers {
                    group.addTask {
                        var input = FuzzInput(pieces: Self.pieces, count: 2000, worker: UInt64(worker))
                        while input.number < (FuzzSettings.count ?? 2000) / Self.workers,
                            await input.next(from: Self.corpus)
                        {
                            do {
                                let parts = input.parts()
                                let answer = try await Self.exchange(parts, port: server.port)
                                if let status = Self.impossible.first(where: { answer.contains($0) }) {
                                    return input.fail(status)
                                }
                            } catch {
                                return input.fail("\(error)")
                            }
                        }
                    }
                }
            }
            try await server.until { $0.streamCount == 0 && $0.feedCount == 0 && $0.socketCount == 0 }
            #expect(try await server.request("GET", "/health/ready").status == 200)
        }
    }

    private static let workers = 4

    /// Sends the parts, says that there is no more, and reads what is answered until the server has closed.
    private static func exchange(_ parts: [[UInt8]], port: Int) async throws -> String {
        let connection = try await TestConnection(port: port)
        // A server that has closed already takes no more.
        for part in parts { try? await connection.send(part) }
        try? await connection.finishSending()
        let answer = try await connection.receiveAll()
        connection.leave()
        return answer
    }
}

// SPDX-License-Identifier: Apache-2.0

import EventStream
import Martlet
import MartletHTTP
import MartletTesting
import TestSupport
import Testing

@Suite struct PublishTests {
    private static let ndjson = ["Content-Type": "application/x-ndjson"]

    @Test func `the body is the data, whatever its type, and the answer is the id`() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let response = try await server.request(
                "POST", "/events/a", headers: ["Content-Type": "application/x-www-form-urlencoded"], body: "x=1&y=%20")
            #expect(response.status == 200)
            #expect(response.header("content-type")?.hasPrefix("text/plain") == true)
            #expect(try await source.next() == ServerSentEvent(data: "x=1&y=%20", id: String(response.body.dropLast())))
        }
    }

    @Test func `the fields of an event come by query or by header, and the query wins`() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let headers = ["Event-Type": "shipped", "Event-Id": "header", "Event-Retry": "7"]
            let response = try await server.request("POST", "/events/a?id=my+own%2Fid", headers: headers, body: "1")
            #expect(response.body == "my own/id\n")
            #expect(try await source.next() == ServerSentEvent(event: "shipped", data: "1", id: "my own/id"))
        }
    }

    @Test func `a batch is published in its order and answered with its ids`() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a?topic=b")
            let batch = """
                {"topic":"a","data":"1"}\r
                {"topic":"b","data":"2","id":"own","type":"t","retry":5,"key":"k","private":false}

                {"topic":"a"}
                """
            let response = try await server.request("POST", "/events", headers: Self.ndjson, body: batch)
            #expect(response.status == 200)
            let ids = response.body.split(separator: "\n").map(String.init)
            #expect(ids.count == 3)
            #expect(try await source.next() == ServerSentEvent(data: "1", id: ids[0]))
            #expect(try await source.next() == ServerSentEvent(event: "t", data: "2", id: "own"))
            #expect(try await source.next() == ServerSentEvent(data: "", id: ids[2]))
        }
    }

    @Test(
        arguments: [
            (#"{"topic":""}"#, "topic"), (#"{"topic":"a\u0001"}"#, "topic"), (#"{"data":"1"}"#, "topic"),
            (#"{"topic":7}"#, "topic"), (#"{"topic":"a","data":{"x":1}}"#, "data"),
            (#"{"topic":"a","id":"a\nb"}"#, "id"),
            (#"{"topic":"a","id":"\u0000"}"#, "id"), (#"{"topic":"a","type":"a\rb"}"#, "type"),
            (#"{"topic":"a","retry":-1}"#, "retry"), (#"{"topic":"a","retry":"5"}"#, "retry"),
            (#"{"topic":"a","retry":1.5}"#, "retry"), (#"{"topic":"a","private":"yes"}"#, "private"),
            (#"{"topic":"a","dat":"1"}"#, "dat"), (#"{"topic":"a""#, nil), ("[1]", nil), ("7", nil), ("nonsense", nil),
        ] as [(String, String?)])
    func `a batch with a broken line publishes nothing and says which line and field`(
        line: String, field: String?
    ) async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let batch = "{\"topic\":\"a\",\"data\":\"good\"}\n\n\(line)\n"
            let response = try await server.request("POST", "/events", headers: Self.ndjson, body: batch)
            #expect(response.status == 400)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.body.contains(#""line":3"#), "\(response.body)")
            if let field { #expect(response.body.contains("\"field\":\"\(field)\""), "\(response.body)") }
            try await server.hub.publish("after", to: "a")
            #expect(try await source.next()?.data == "after")
        }
    }

    @Test(arguments: [
        ("/events/", "topic"), ("/events/a%07", "topic"), ("/events/a%C2%80", "topic"), ("/events/a%00b", "topic"),
        ("/events/a?id=a%00", "id"), ("/events/a?id=", "id"), ("/events/a?id=a%0Ab", "id"),
        ("/events/a?id=earliest", "id"), ("/events/a?id=+x", "id"), ("/events/a?id=x%20", "id"),
        ("/events/a?type=gap", "type"), ("/events/a?type=a%0D", "type"),
        ("/events/a?retry=-1", "retry"), ("/events/a?retry=1s", "retry"), ("/events/a?retry=", "retry"),
        ("/events/a?retry=86400001", "retry"),
        ("/events/a?retry=99999999999999999999", "retry"), ("/events/a?private=perhaps", "private"),
        ("/events/a?typ=b", "typ"), ("/events/a?key=%7F", "key"),
    ])
    func `bad input is refused with a problem document that names the field`(path: String, field: String) async throws {
        try await TestServer.run { server in
            let response = try await server.request("POST", path, body: "1")
            #expect(response.status == 400)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.body.contains("\"field\":\"\(field)\""), "\(response.body)")
        }
    }

    @Test func `sizes are accepted up to their limit and refused above`() async throws {
        try await TestServer.run { server in
            let topic = String(repeating: "t", count: 1024)
            #expect(try await server.request("POST", "/events/\(topic)", body: "1").status == 200)
            let long = try await server.request("POST", "/events/\(topic)t", body: "1")
            #expect(long.status == 400)
            #expect(long.body.contains(#""field":"topic""#))
            let data = String(repeating: "d", count: 1024 * 1024)
            #expect(try await server.request("POST", "/events/a", body: data).status == 200)
            let large = try await server.request("POST", "/events/a", body: data + "d")
            #expect(large.status == 413)
            #expect(large.body.contains(#""field":"data""#))
            let batch = try await server.request("POST", "/events", headers: Self.ndjson, body: data + "d")
            #expect(batch.status == 413)
        }
    }

    @Test func `who waits to be asked for the body is asked`() async throws {
        try await TestServer.run { server in
            let connection = try await TestConnection(port: server.port)
            try await connection.send(
                "POST /events/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n"
                    + "Expect: 100-continue\r\n\r\n")
            let goOn = try await connection.receive() ?? []
            #expect(String(decoding: goOn, as: UTF8.self) == "HTTP/1.1 100 Continue\r\n\r\n")
            try await connection.send("1")
            #expect(TestResponse(try await connection.receiveAll()).status == 200)
        }
    }

    @Test func `data that is not UTF-8 is refused`() async throws {
        try await TestServer.run { server in
            let connection = try await TestConnection(port: server.port)
            try await connection.send(
                "POST /events/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\n")
            try await connection.send([0xFF])
            let response = TestResponse(try await connection.receiveAll())
            #expect(response.status == 400)
            #expect(response.body.contains(#""field":"data""#))
        }
    }

    @Test func `a batch has to say that it is one, and has to have events`() async throws {
        try await TestServer.run { server in
            let unnamed = try await server.request("POST", "/events", body: "{}")
            #expect(unnamed.status == 415)
            let spelled = ["Content-Type": "Application/X-NDJSON ; charset=utf-8"]
            let good = try await server.request("POST", "/events", headers: spelled, body: #"{"topic":"a"}"#)
            #expect(good.status == 200)
            let empty = try await server.request("POST", "/events", headers: Self.ndjson, body: "\n\n")
            #expect(empty.status == 400)
        }
    }

    @Test(arguments: [
        (["Origin": "https://example.com"], 403), (["Origin": "null"], 403), (["Origin": "http://localhost:1"], 403),
        (["Host": "example.com"], 403), (["Host": "localhost.example.com"], 403),
        (["Host": "127.0.0.1.example.com"], 403),
        (["X-Forwarded-For": "203.0.113.9"], 403), (["Via": "1.1 proxy"], 403), (["Host": "[::1]example.com"], 403),
        (["Host": "localhost:80@example.com"], 403), (["Host": "localhost"], 200), (["Host": "127.0.0.1:9"], 200),
        (["Host": "[::1]:9"], 200),
        (["Host": "localhost:9", "Origin": "http://localhost:9"], 200),
        (["Host": "localhost:9", "Origin": "http://localhost:10"], 403),
        (["Host": "example.com", "Origin": "http://example.com"], 403),
    ])
    func `who is not of this machine may not publish`(headers: [String: String], status: Int) async throws {
        try await TestServer.run { server in
            let response = try await server.request("POST", "/events/a", headers: headers, body: "1")
            #expect(response.status == status, "\(response.body)")
        }
    }

    @Test func `publishing can be turned off`() async throws {
        try await TestServer.run(access: .readOnly) { server in
            let publish = try await server.request("POST", "/events/a", body: "1")
            #expect(publish.status == 403)
            let subscribe = try await server.request("HEAD", "/events/a")
            #expect(subscribe.status == 200)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletHTTP

@Suite struct PublishTests {
    private static let ndjson = ["Content-Type": "application/x-ndjson"]

    @Test("The body is the data, whatever its type, and the answer is the id")
    func bodyIsTheDataWhatever() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let response = try await server.request(
                "POST", "/events/a", headers: ["Content-Type": "application/x-www-form-urlencoded"], body: "x=1&y=%20")
            #expect(response.status == 200)
            #expect(response.header("content-type")?.hasPrefix("text/plain") == true)
            #expect(try await source.next() == ServerSentEvent(data: "x=1&y=%20", id: String(response.body.dropLast())))
        }
    }

    @Test("The fields of an event come by query or by header, and the query wins")
    func fieldsOfAnEventCome() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let headers = ["Event-Type": "shipped", "Event-Id": "header", "Event-Retry": "7"]
            let response = try await server.request("POST", "/events/a?id=my+own%2Fid", headers: headers, body: "1")
            #expect(response.body == "my own/id\n")
            #expect(try await source.next() == ServerSentEvent(event: "shipped", data: "1", id: "my own/id"))
        }
    }

    @Test(
        "Fields of an event that cannot be told apart publish nothing",
        arguments: [
            ("/events/a?private=true&private=false", "", "private"),
            ("/events/a", "Event-Id: 1\r\nEvent-Id: 2\r\n", "Event-id"),
            ("/events/a", "Event-Id: \u{FFFD}\r\n", "Event-id"),
            ("/events/a", "Event-Type: \u{FFFD}\r\n", "Event-type"),
            ("/events/a", "Idempotency-Key: caf\u{FFFD}\r\n", "Idempotency-Key"),
        ], [true, false])
    func unclearFields(of request: (path: String, fields: String, field: String), hasFrontDoor: Bool) async throws {
        try await TestServer.run(hasFrontDoor: hasFrontDoor) { server in
            let connection = try await TestConnection(port: server.port)
            let head =
                "POST \(request.path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\(request.fields)"
                + "Content-Length: 1\r\n\r\n1"
            // In the place of U+FFFD the byte that Latin-1 has for é.
            let parts = head.components(separatedBy: "\u{FFFD}").map { Array($0.utf8) }
            try await connection.send(Array(parts.joined(separator: [0xE9])))
            let answer = TestResponse(try await connection.receiveAll())
            try await connection.close()
            #expect(answer.status == 400)
            #expect(answer.body.contains("\"field\":\"\(request.field)\""))
            #expect(await server.hub.lastEventID() == "earliest")
        }
    }

    @Test(
        "A batch with fields of a single event is refused: its lines have their own",
        arguments: [("/events?private=true", [:]), ("/events?x=1", [:]), ("/events", ["Event-Private": "true"])])
    func batchWithFields(path: String, fields: [String: String]) async throws {
        try await TestServer.run { server in
            let headers = Self.ndjson.merging(fields) { $1 }
            let answer = try await server.request("POST", path, headers: headers, body: #"{"topic":"a"}"#)
            #expect(answer.status == 400)
            #expect(await server.hub.lastEventID() == "earliest")
        }
    }

    @Test("A batch is published in its order and answered with its ids")
    func batchIsPublished() async throws {
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
        "A batch with a broken line publishes nothing and says which line and field",
        arguments: [
            (#"{"topic":""}"#, "topic"), (#"{"topic":"a\u0001"}"#, "topic"), (#"{"data":"1"}"#, "topic"),
            (#"{"topic":7}"#, "topic"), (#"{"topic":"a","data":{"x":1}}"#, "data"),
            (#"{"topic":"a","id":"a\nb"}"#, "id"), (##"{"topic":"a","id":"#1"}"##, "id"),
            (#"{"topic":"a","id":"\u0000"}"#, "id"), (#"{"topic":"a","type":"a\rb"}"#, "type"),
            (#"{"topic":"a","retry":-1}"#, "retry"), (#"{"topic":"a","retry":"5"}"#, "retry"),
            (#"{"topic":"a","retry":1.5}"#, "retry"), (#"{"topic":"a","private":"yes"}"#, "private"),
            (#"{"topic":"a","dat":"1"}"#, "dat"), (#"{"topic":null}"#, "topic"),
            (#"{"topic":"a","retry":1e999}"#, "retry"),
            (#"{"topic":"a","retry":9223372036854775808}"#, "retry"), (#"{"topic":"a","retry":86400001}"#, "retry"),
            (#"{"topic":"a","data":"1","data":"2"}"#, "data"), (#"{"topic":"a","topic":"a"}"#, "topic"),
            (#"{"topic":"a","t\u006fpic":"b"}"#, "topic"),
            (#"{"topic":"a","private":true,"private":false}"#, "private"),
            (#"{"topic":"a","data\u0301":"1"}"#, "data\u{301}"), (#"{"topic":"a","data":"\ud800"}"#, nil),
            (#"{"topic":"a",}"#, nil), (#"{"topic":"a"} {"topic":"b"}"#, nil), (#"{"topic":"a""#, nil), ("[1]", nil),
            ("7", nil), ("nonsense", nil),
        ] as [(String, String?)])
    func batchWithABrokenLine(
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

    @Test("A null in a batch counts as a missing member, and a whole number may have any form")
    func nullInABatchCounts() async throws {
        let batch = #"{"topic":"a","data":null,"id":null,"type":null,"retry":null,"key":null,"private":null}"#
        let events = try await EventBatch.parse(batch, limits: Limits())
        #expect(events == [Event(topic: "a", data: "")])
        for retry in ["5", "5.0", "0.5e1", "50E-1"] {
            let event = try await EventBatch.parse(#"{"topic":"a","retry":\#(retry)}"#, limits: Limits()).first
            #expect(event?.retry == 5)
        }
    }

    @Test(
        "Of several errors in a line, one that makes it no JSON comes first, then an unknown name, then a wrong type",
        arguments: [
            (#"{"topic":1,"x":1,"data":}"#, nil), (#"{"topic":1,"x":1,"x":2,"data":}"#, "x"),
            (#"{"data":1,"topic":2,"y":1,"x":1}"#, "x"), (#"{"x":{"x":1,"x":2},"y":1}"#, "x"),
            (#"{"retry":"1","data":1,"topic":2}"#, "topic"), (#"{"retry":"1","data":1}"#, "topic"),
            (#"{"retry":"1","data":1,"topic":"a"}"#, "data"), (#"{"private":1,"key":2,"topic":"a"}"#, "key"),
        ] as [(String, String?)])
    func severalErrorsInALine(line: String, field: String?) async throws {
        let problem = await #expect(throws: Problem.self) { try await EventBatch.parse(line, limits: Limits()) }
        #expect(problem?.field == field && problem?.line == 1)
    }

    @Test("An error about a batch repeats at most the beginning of a name")
    func errorAboutABatchRepeats() async throws {
        let name = String(repeating: "e\u{301}", count: 10_000)
        for members in ["\"\(name)\":1", "\"\(name)\":1,\"\(name)\":1"] {
            let problem = await #expect(throws: Problem.self) {
                try await EventBatch.parse("\n{\"topic\":\"a\",\(members)}", limits: Limits())
            }
            #expect(problem?.line == 2)
            #expect((problem?.field?.unicodeScalars.count ?? 0) <= 65 && (problem?.detail.utf8.count ?? 0) < 500)
        }
    }

    @Test("A long batch is parsed off the event loops, and a short one on the loop of its connection")
    func longBatchIsParsedOff()
        async throws
    {
        let log = ScriptedLog()
        let hub = Hub(log: log, logger: quiet)
        try await TestServer.run(hub: hub, hasFrontDoor: false) { server in
            let line = #"{"topic":"a","data":"1"}"#
            let most = CPUBoundWork.briefBytes / (line.utf8.count + 1)
            for lines in [1, most, most + 1, 20 * most] {
                let batch = String(repeating: line + "\n", count: lines)
                let response = try await server.request("POST", "/events", headers: Self.ndjson, body: batch)
                #expect(response.status == 200)
                #expect(response.body.utf8.count { $0 == 0x0A } == lines)
            }
            #expect(log.appendsOnEventLoop == [true, true, false, false])
            // The next request is answered on an event loop again.
            #expect(try await server.request("POST", "/events/a", body: "1").status == 200)
            #expect(log.appendsOnEventLoop.last == true)
        }
    }

    @Test("An error in a long batch has the right line")
    func errorInALongBatch() async throws {
        let good = String(repeating: #"{"topic":"a"}"# + "\r\n\n", count: CPUBoundWork.Pace.sliceBytes / 8)
        let problem = await #expect(throws: Problem.self) {
            try await EventBatch.parse(good + #"{"topic":"a","retry":"1"}"#, limits: Limits())
        }
        #expect(problem?.line == CPUBoundWork.Pace.sliceBytes / 8 * 2 + 1 && problem?.field == "retry")
    }

    @Test(
        "Bad input is refused with a problem document that names the field",
        arguments: [
            ("/events/", "topic"), ("/events/a%07", "topic"), ("/events/a%C2%80", "topic"), ("/events/a%00b", "topic"),
            ("/events/a?id=a%00", "id"), ("/events/a?id=", "id"), ("/events/a?id=a%0Ab", "id"),
            ("/events/a?id=earliest", "id"), ("/events/a?id=%231", "id"), ("/events/a?id=+x", "id"),
            ("/events/a?id=x%20", "id"),
            ("/events/a?type=gap", "type"), ("/events/a?type=a%0D", "type"),
            ("/events/a?retry=-1", "retry"), ("/events/a?retry=1s", "retry"), ("/events/a?retry=", "retry"),
            ("/events/a?retry=86400001", "retry"),
            ("/events/a?retry=99999999999999999999", "retry"), ("/events/a?private=perhaps", "private"),
            ("/events/a?typ=b", "typ"), ("/events/a?key=%7F", "key"),
        ])
    func badInputIsRefused(path: String, field: String) async throws {
        try await TestServer.run { server in
            let response = try await server.request("POST", path, body: "1")
            #expect(response.status == 400)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.body.contains("\"field\":\"\(field)\""), "\(response.body)")
        }
    }

    @Test("Sizes are accepted up to their limit and refused above")
    func sizesAreAcceptedUp() async throws {
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

    @Test("A client that waits for 100 Continue receives it")
    func whoWaitsToBeAsked() async throws {
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

    @Test("Data that is not UTF-8 is refused")
    func dataThatIsNotUTF() async throws {
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

    @Test("A batch has to say that it is one, and has to have events")
    func batchHasToSay() async throws {
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

    @Test(
        "A client on another machine may not publish",
        arguments: [
            (["Origin": "https://example.com"], 403), (["Origin": "null"], 403),
            (["Origin": "http://localhost:1"], 403),
            (["Host": "example.com"], 403), (["Host": "localhost.example.com"], 403),
            (["Host": "127.0.0.1.example.com"], 403),
            (["X-Forwarded-For": "203.0.113.9"], 403), (["Via": "1.1 proxy"], 403), (["Host": "[::1]example.com"], 400),
            (["Host": "localhost:80@example.com"], 400), (["Host": "localhost"], 200), (["Host": "127.0.0.1:9"], 200),
            (["Host": "[::1]:9"], 200),
            (["Host": "localhost:9", "Origin": "http://localhost:9"], 200),
            (["Host": "localhost:9", "Origin": "http://localhost:10"], 403),
            (["Host": "example.com", "Origin": "http://example.com"], 403),
        ])
    func whoIsNotOfThis(headers: [String: String], status: Int) async throws {
        try await TestServer.run { server in
            let response = try await server.request("POST", "/events/a", headers: headers, body: "1")
            #expect(response.status == status, "\(response.body)")
        }
    }

    @Test("Publishing can be turned off")
    func publishingCanBeTurnedOff() async throws {
        try await TestServer.run(access: .readOnly) { server in
            let publish = try await server.request("POST", "/events/a", body: "1")
            #expect(publish.status == 403)
            let subscribe = try await server.request("HEAD", "/events/a")
            #expect(subscribe.status == 200)
        }
    }
}

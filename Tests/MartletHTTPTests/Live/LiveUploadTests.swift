// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Martlet
import MartletTesting
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import MartletHTTP

/// Uploads whose events are published while they come.
@Suite(.timeLimit(.minutes(10))) struct LiveUploadTests {
    /// An upload in chunks.
    private struct Upload {
        let connection: TestConnection

        init(
            _ server: TestServer, _ target: String, type: String = "text/event-stream", method: String = "POST",
            fields: String = ""
        ) async throws {
            connection = try await TestConnection(port: server.port)
            try await connection.send(
                "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nContent-Type: \(type)\r\n\(fields)"
                    + "Transfer-Encoding: chunked\r\n\r\n")
        }

        func send(_ text: String) async throws { try await connection.send(Self.chunk(text)) }

        func end() async throws -> TestResponse {
            try await connection.send("0\r\n\r\n")
            return try await answer()
        }

        func answer() async throws -> TestResponse {
            var text = try await connection.receive(through: "\r\n\r\n")
            let length = Int(TestResponse(text).header("content-length") ?? "") ?? 0
            while TestResponse(text).body.utf8.count < length {
                text += String(decoding: try #require(try await connection.receive()), as: UTF8.self)
            }
            return TestResponse(text)
        }

        static func chunk(_ text: String) -> String { String(text.utf8.count, radix: 16) + "\r\n\(text)\r\n" }
    }

    /// Uploads blocks with this data, each in its own chunk, and returns the answer.
    private static func upload(
        _ data: [String], to server: TestServer, _ target: String, fields: String = "", apart: Bool = false
    ) async throws -> TestResponse {
        let upload = try await Upload(server, target, fields: fields)
        if apart {
            for text in data { try await upload.send("data: \(text)\n\n") }
        } else {
            try await upload.send(data.map { "data: \($0)\n\n" }.joined())
        }
        return try await upload.end()
    }

    private static func answer(_ response: TestResponse) -> JSONValue {
        (try? JSONValue(parsing: response.body.utf8)) ?? .null
    }

    private static func history(of server: TestServer, _ topic: Topic = "a") async throws -> [String] {
        try await server.hub.publish("the end", to: topic)
        return try await server.hub.subscribe(to: topic, after: "earliest") { events in
            var data: [String] = []
            for try await event in events {
                if event.data == "the end" { break }
                data.append(event.data)
            }
            return data
        }
    }

    @Test("Each event arrives while the upload goes on", arguments: [true, false], ["POST", "PUT"])
    func live(hasFrontDoor: Bool, method: String) async throws {
        try await TestServer.run(hasFrontDoor: hasFrontDoor) { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let upload = try await Upload(server, "/events/a?live=1&close=1", method: method)
            var last = ""
            for number in 0..<5 {
                try await upload.send("data: \(number)\n\n")
                let event = try await source.next()
                #expect(event?.data == "\(number)")
                last = event?.id ?? ""
            }
            let response = try await upload.end()
            let end = try await source.next()
            #expect(end?.event == "end")
            #expect(response.status == 200 && response.header("content-type") == "application/json")
            #expect(response.body == "{\"lastEventID\":\"\(end?.id ?? "")\",\"count\":5,\"closed\":true}\n")
            #expect(!last.isEmpty && end?.id != last)
            await #expect(throws: MartletError.self) { try await server.hub.publish("late", to: "a") }
        }
    }

    @Test("A body with a length is published while it comes, too", arguments: [true, false], ["1.0", "1.1"])
    func length(hasFrontDoor: Bool, version: String) async throws {
        try await TestServer.run(hasFrontDoor: hasFrontDoor) { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let connection = try await TestConnection(port: server.port)
            let lines = ["one\n", "two\n", "3"]
            try await connection.send(
                "POST /events/a?x=y&live HTTP/\(version)\r\nHost: localhost\r\nConnection: close\r\n"
                    .replacing("x=y&", with: "") + "Content-Type: application/x-ndjson\r\n"
                    + "Content-Length: \(lines.joined().utf8.count)\r\n\r\n")
            for line in lines.dropLast() {
                try await connection.send(line)
                #expect(try await source.next()?.data == String(line.dropLast()))
            }
            try await connection.send(lines[2])
            let response = TestResponse(try await connection.receiveAll())
            let event = try await source.next()
            #expect(event?.data == "3")
            #expect(response.body == "{\"lastEventID\":\"\(event?.id ?? "")\",\"count\":3,\"closed\":false}\n")
            #expect(try await server.request("POST", "/events/a", body: "still open").status == 200)
        }
    }

    @Test("Over TLS each event arrives while the upload goes on, too", arguments: [Transport.http1, .tls])
    func transports(transport: Transport) async throws { try await upload(over: transport) }

    @Test(
        "Over HTTP/2 each event arrives while the upload goes on, too",
        .disabled("Everything arrives, but the client of the tests does not shut down afterwards"))
    func http2() async throws { try await upload(over: .http2) }

    private func upload(over transport: Transport) async throws {
        try await TestServer.run(speaking: try transport.server) { server in
            try await StreamClient.run(transport, port: server.port) { client in
                let stream = try await client.get("/events/a?lastEventID=earliest")
                let (chunks, source) = AsyncStream.makeStream(of: ByteBuffer.self)
                async let answer = client.post("/events/a?live=1", type: "text/event-stream", chunks)
                for number in 0..<3 {
                    source.yield(ByteBuffer(string: "data: \(number)\n\n"))
                    #expect(try await stream.next()?.data == "\(number)")
                }
                source.finish()
                let (status, body) = try await answer
                #expect(status == 200 && body.contains("\"count\":3"))
                let (refused, more) = AsyncStream.makeStream(of: ByteBuffer.self)
                async let refusal = client.post("/events/a?live=1", type: "text/event-stream", refused)
                more.yield(ByteBuffer(string: "data: good\n\nevent: gap\ndata: bad\n\n"))
                // The client may wait for the end of its body before it reads the answer.
                #expect(try await stream.next()?.data == "good")
                more.finish()
                let (code, problem) = try await refusal
                #expect(code == 400 && problem.contains("\"count\":1"))
            }
        }
    }

    @Test("Objects are published to the topics that they name, while they come")
    func objects() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a?topic=b")
            let upload = try await Upload(server, "/events?live=1", type: "application/x-ndjson")
            try await upload.send(#"{"topic":"a","data":"1"}"# + "\n")
            #expect(try await source.next()?.data == "1")
            try await upload.send(#"{"topic":"b","data":"2","id":"own"}"#)
            let response = try await upload.end()
            #expect(try await source.next() == ServerSentEvent(data: "2", id: "own"))
            #expect(response.body == #"{"lastEventID":"own","count":2,"closed":false}"# + "\n")
            #expect(try await server.request("POST", "/events?live=1&close=1", body: "").status == 400)
        }
    }

    @Test("An empty upload publishes nothing, and may close the topic")
    func empty() async throws {
        try await TestServer.run { server in
            let fields = ["Content-Type": "text/event-stream"]
            let nothing = try await server.request("POST", "/events/a?live=1", headers: fields)
            #expect(nothing.body == #"{"lastEventID":null,"count":0,"closed":false}"# + "\n")
            #expect(await server.hub.lastEventID() == "earliest")
            let closing = try await server.request("POST", "/events/a?live=1&close=1", headers: fields)
            #expect(closing.body.contains(#""count":0,"closed":true"#))
            let again = try await server.request("POST", "/events/a?live=1&close=1", headers: fields)
            #expect(again.status == 200 && again.body == closing.body)
        }
    }

    @Test("A body that breaks off after any event keeps the events before, and leaves the topic open")
    func breaksOff() async throws {
        try await TestServer.run { server in
            for count in 0...5 {
                for isReset in [false, true] {
                    let topic = try Topic("\(count)/\(isReset)")
                    let source = try await TestEventSource(port: server.port, path: "/events/\(topic)")
                    let upload = try await Upload(server, "/events/\(topic)?live=1&close=1")
                    for number in 0..<count {
                        try await upload.send("data: \(number)\n\n")
                        #expect(try await source.next()?.data == "\(number)")
                    }
                    try await upload.send("data: half")
                    if isReset {
                        try await upload.connection.reset()
                    } else {
                        try await upload.connection.finishSending()
                        let answer = try await upload.answer()
                        #expect(answer.status == 400)
                        #expect(Self.answer(answer)["count"]?.wholeNumber == count)
                    }
                    #expect(try await Self.history(of: server, topic) == (0..<count).map { "\($0)" })
                }
            }
        }
    }

    @Test(
        "An error in the middle tells how much was accepted, and ends the connection",
        arguments: [
            (
                "/events/a?live=1", "text/event-stream", "data: 1\n\ndata: 2\n\n", "event: gap\ndata: x\n\ndata: y\n\n",
                400
            ),
            ("/events/a?live=1", "application/x-ndjson", "1\n2\n", String(repeating: "x", count: 70) + "\n", 413),
            (
                "/events?live=1", "application/x-ndjson", "{\"topic\":\"a\"}\n{\"topic\":\"a\"}\n",
                "{\"topic\":\"a\",\"key\":1}\n", 400
            ),
            (
                "/events?live=1", "application/x-ndjson", "{\"topic\":\"a\"}\n",
                "{\"topic\":\"a\"}\n{\"topic\":\"ended\"}\n{\"topic\":\"a\"}\n", 409
            ),
            ("/events/a?live=1&close=1", "text/event-stream", "data: 1\n\n", "data: 2\n\nid: # \ndata: x\n\n", 400),
        ])
    func errors(target: String, type: String, good: String, bad: String, status: Int) async throws {
        try await TestServer.run(hub: quickHub { $0.limits.dataBytes = 64 }) { server in
            try await server.hub.close("ended")
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let upload = try await Upload(server, target, type: type)
            try await upload.send(good)
            _ = try await source.next()
            // The client goes on sending; the answer comes nevertheless.
            try await upload.send(bad)
            let response = try await upload.answer()
            #expect(response.status == status && response.header("connection") == "close")
            #expect(response.header("content-type") == "application/problem+json")
            #expect(Self.answer(response)["count"]?.wholeNumber == 2)
            let id = try #require(Self.answer(response)["lastEventID"]?.stringValue)
            let second = try await source.next()
            #expect(second?.id == id)
            #expect(try await server.request("POST", "/events/a", body: "open").status == 200)
            #expect(try await upload.connection.receive() == nil)
        }
    }

    @Test(
        "An upload that is not possible is refused before its body is read",
        arguments: [
            ("/events/a?live=1", "text/plain", 415), ("/events?live=1", "text/event-stream", 415),
            ("/events/a?live=1&id=5", "text/event-stream", 400), ("/events/a?live=1&retry=5", "text/event-stream", 400),
            ("/events/a?live=maybe", "text/event-stream", 400), ("/events?live=1&ttl=1s", "application/x-ndjson", 400),
        ])
    func refused(target: String, type: String, status: Int) async throws {
        try await TestServer.run { server in
            let upload = try await Upload(server, target, type: type, fields: "Expect: 100-continue\r\n")
            let response = try await upload.answer()
            #expect(response.status == status && response.header("connection") == "close")
        }
    }

    @Test("PUT is possible for live uploads only, and live=0 is none")
    func methods() async throws {
        try await TestServer.run { server in
            let put = try await server.request("PUT", "/events/a", body: "x")
            #expect(put.status == 405 && put.header("allow") == "GET, HEAD, OPTIONS, POST")
            let headers = ["Content-Type": "text/event-stream"]
            let post = try await server.request("POST", "/events/a?live=0", headers: headers, body: "data: x\n\n")
            #expect(post.status == 200)
            #expect(try await Self.history(of: server) == ["data: x\n\n"])
        }
    }

    @Test("The fields of the request are those of each event")
    func fields() async throws {
        let access = Access<BasicEventStreamRequestContext> { _, _, _ in
            Grant(subscribe: [.every], publish: [.every])
        }
        try await TestServer.run(access: access) { server in
            let target = "/events/a?live=1&private=1&key=k&type=token&ttl=1h&expires=2h"
            let upload = try await Upload(server, target, fields: "Stream-Writer: w; epoch=2\r\n")
            let source = try await TestEventSource(port: server.port, path: "/events/a?lastEventID=earliest")
            try await upload.send("data: 1\n\nevent: other\ndata: 2\n\n")
            #expect(try await source.next()?.type == "token")
            #expect(try await source.next()?.type == "other")
            let slice = try await server.hub.log.read(
                nil, after: .earliest, through: server.hub.end, limit: SliceLimit())
            for record in slice.records {
                #expect(record.event.isPrivate && record.event.key == "k" && record.event.expires != nil)
                #expect(record.event.topicExpires != nil && record.event.writer == TopicWriter("w", epoch: 2))
            }
            #expect(slice.records.count == 2)
            // Another writer takes over.
            let successor = ["Stream-Writer": "x; epoch=3"]
            #expect(try await server.request("POST", "/events/a", headers: successor, body: "3").status == 200)
            try await upload.send("data: 4\n\n")
            let response = try await upload.answer()
            #expect(response.status == 409 && Self.answer(response)["count"]?.wholeNumber == 2)
        }
    }

    @Test(
        "A repeated upload with the same key goes on where it broke off, however it is cut", arguments: [true, false])
    func key(isApart: Bool) async throws {
        try await TestServer.run { server in
            let key = "Idempotency-Key: k\r\n"
            for count in [2, 3, 3, 5] {
                let data = (0..<count).map { "\($0)" }
                let response = try await Self.upload(
                    data, to: server, "/events/a?live=1", fields: key, apart: isApart)
                #expect(Self.answer(response)["count"]?.wholeNumber == count)
            }
            let all = try await server.hub.subscribe(to: "a", after: "earliest") { events in
                try await server.hub.publish("last", to: "a")
                var data: [String] = []
                for try await event in events {
                    if event.data == "last" { break }
                    data.append(event.data)
                }
                return data
            }
            #expect(all.filter { $0 != "the end" } == ["0", "1", "2", "3", "4"])
            let other = try await Self.upload(["0", "x"], to: server, "/events/a?live=1", fields: key)
            #expect(other.status == 422 && Self.answer(other)["count"]?.wholeNumber == 1)
            // A single publish has other keys.
            let single = try await server.request("POST", "/events/a", headers: ["Idempotency-Key": "1"], body: "x")
            #expect(single.status == 200)
        }
    }

    @Test("A repeated upload with the same key also ends when its topic has ended")
    func keyOfAnEndedTopic() async throws {
        try await TestServer.run { server in
            let key = "Idempotency-Key: k\r\n"
            let first = try await Self.upload(["0", "1"], to: server, "/events/a?live=1&close=1", fields: key)
            let again = try await Self.upload(["0", "1"], to: server, "/events/a?live=1&close=1", fields: key)
            #expect(first.status == 200 && again.status == 200 && first.body == again.body)
            let more = try await Self.upload(["0", "1", "2"], to: server, "/events/a?live=1", fields: key)
            #expect(more.status == 409 && Self.answer(more)["count"]?.wholeNumber == 2)
        }
    }

    @Test("An upload ends with the credentials of its publisher")
    func credentials() async throws {
        let end = Mutex(Date.distantFuture)
        let access = Access<BasicEventStreamRequestContext> { _, _, purpose in
            guard purpose == .publish else { return Grant(seesAllPublic: true) }
            end.withLock { $0 = .now.addingTimeInterval(1) }
            return Grant(publish: [.every], end: end.withLock { $0 })
        }
        try await TestServer.run(access: access) { server in
            let upload = try await Upload(server, "/events/a?live=1&close=1")
            try await upload.send("data: 1\n\n")
            try await until { end.withLock { $0.timeIntervalSinceNow < -0.01 } }
            try await upload.send("data: 2\n\n")
            let response = try await upload.answer()
            #expect(response.status == 401 && response.header("www-authenticate") != nil)
            // On a machine that is busy, the first may come too late, too.
            let count = try #require(Self.answer(response)["count"]?.wholeNumber)
            #expect(count <= 1)
            let all = try await server.hub.log.read(
                nil, after: .earliest, through: server.hub.end, limit: SliceLimit())
            #expect(all.records.map(\.event.data) == (count == 1 ? ["1"] : []))
        }
    }

    @Test("An upload to a topic that is not granted is refused, also for a later object")
    func granted() async throws {
        let access = Access<BasicEventStreamRequestContext> { _, _, _ in
            Grant(seesAllPublic: true, publish: [TopicSelector("a" as Topic)])
        }
        try await TestServer.run(access: access) { server in
            let upload = try await Upload(server, "/events/b?live=1", fields: "Expect: 100-continue\r\n")
            #expect(try await upload.answer().status == 403)
            let objects = try await Upload(server, "/events?live=1", type: "application/x-ndjson")
            try await objects.send("{\"topic\":\"a\"}\n{\"topic\":\"b\"}\n{\"topic\":\"a\"}\n")
            let response = try await objects.answer()
            #expect(response.status == 403 && Self.answer(response)["count"]?.wholeNumber == 1)
        }
    }

    // MARK: The log

    /// Counts appends, and accepts none while it is held.
    private final class SlowLog: WrappingLog {
        let log: any Log = MemoryLog()
        private struct Unreachable: Error {}

        private let state = Mutex((isHeld: false, isBroken: false, sizes: [Int]()))
        private let changed = Signal()

        /// How many events each append had.
        var sizes: [Int] { state.withLock { $0.sizes } }

        func hold() { state.withLock { $0.isHeld = true } }

        func breakDown() { state.withLock { $0.isBroken = true } }

        func release() {
            state.withLock { $0.isHeld = false }
            changed.fire()
        }

        func append(_ events: [Event], once key: String?) async throws -> [Position] {
            let isBroken = state.withLock { state in
                state.sizes.append(events.count)
                return state.isBroken
            }
            if isBroken { throw Unreachable() }
            try await changed.wait { state.withLock { $0.isHeld } ? nil : () }
            return try await log.append(events, once: key)
        }
    }

    private final class Counter: Sendable {
        let count = Atomic(0)
    }

    @Test("Events that arrive together are published together, however small their chunks are")
    func together() async throws {
        let log = SlowLog()
        try await TestServer.run(hub: Hub(log: log, configuration: quickHub().configuration, logger: quiet)) { server in
            let connection = try await TestConnection(port: server.port)
            let chunks = (0..<50).map { Upload.chunk("data: \($0)\n\n") }.joined()
            try await connection.send(
                "POST /events/a?live=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                    + "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\(chunks)0\r\n\r\n")
            #expect(TestResponse(try await connection.receiveAll()).status == 200)
            #expect(log.sizes.reduce(0, +) == 50)
            #expect(log.sizes.count <= 3, "\(log.sizes)")
        }
    }

    @Test("No more of the body is read while the log does not accept it")
    func backPressure() async throws {
        let log = SlowLog()
        try await TestServer.run(hub: Hub(log: log, configuration: quickHub().configuration, logger: quiet)) { server in
            log.hold()
            let upload = try await Upload(server, "/events/a?live=1")
            let block = Upload.chunk("data: " + String(repeating: "x", count: 1_000_000) + "\n\n")
            let sent = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for _ in 0..<64 {
                        try await upload.connection.send(block)
                        sent.count.add(1, ordering: .relaxed)
                    }
                }
                // The sender stands still once all buffers are full.
                var (seen, times) = (-1, 0)
                while times < 20 {
                    try await Task.sleep(for: .milliseconds(20))
                    let count = sent.count.load(ordering: .relaxed)
                    (seen, times) = count == seen && !log.sizes.isEmpty ? (seen, times + 1) : (count, 0)
                }
                #expect(seen < 32)
                #expect(log.sizes.count == 1)
                log.release()
                try await group.waitForAll()
            }
            let response = try await upload.end()
            #expect(Self.answer(response)["count"]?.wholeNumber == 64)
        }
    }

    @Test("A hub that cannot keep up holds the sender instead of refusing it")
    func overload() async throws {
        let log = ScriptedLog()
        try await TestServer.run(hub: Hub(log: log, configuration: quickHub().configuration, logger: quiet)) { server in
            log.refuse(3)
            let response = try await Self.upload(["0", "1"], to: server, "/events/a?live=1")
            #expect(response.status == 200)
            #expect(try await Self.history(of: server) == ["0", "1"])
        }
    }

    @Test("An error of the log is answered 503 with what was accepted")
    func failure() async throws {
        let log = SlowLog()
        try await TestServer.run(hub: Hub(log: log, configuration: quickHub().configuration, logger: quiet)) { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let upload = try await Upload(server, "/events/a?live=1")
            try await upload.send("data: 0\n\n")
            let id = try await source.next()?.id
            log.breakDown()
            try await upload.send("data: 1\n\n")
            let response = try await upload.answer()
            #expect(response.status == 503 && response.header("retry-after") == "1")
            #expect(Self.answer(response)["count"]?.wholeNumber == 1)
            #expect(Self.answer(response)["lastEventID"]?.stringValue == id)
        }
    }

    @Test("A server that shuts down ends uploads, and says how much was accepted")
    func shutdown() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let upload = try await Upload(server, "/events/a?live=1&close=1")
            try await upload.send("data: 1\n\n")
            #expect(try await source.next()?.data == "1")
            await server.shutDown()
            let response = try await upload.answer()
            #expect(response.status == 503 && Self.answer(response)["count"]?.wholeNumber == 1)
        }
    }
}

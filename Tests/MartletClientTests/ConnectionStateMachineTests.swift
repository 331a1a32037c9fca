// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import TestSupport
import Testing

@testable import MartletClient

@Suite struct ConnectionStateMachineTests {
    private var random = SeededGenerator(seed: 1)
    private static let stream = ResponseHead(status: 200, contentTypes: ["text/event-stream"])

    private func connection(
        _ url: String = "http://a/events", lastEventID: String = "",
        _ configure: (inout EventSource.Configuration) -> Void = { _ in }
    ) throws -> ConnectionStateMachine {
        var configuration = EventSource.Configuration()
        configure(&configuration)
        return try ConnectionStateMachine(to: url, configuration, lastEventID: lastEventID)
    }

    private func request(_ step: ConnectionStateMachine.Step) throws -> Request {
        guard case .send(let request) = step else { throw Unexpected(step: step) }
        return request
    }

    private struct Unexpected: Error { var step: ConnectionStateMachine.Step }

    @Test("A permanent status ends the source", arguments: [400, 401, 403, 404, 410, 422, 100, 201, 206, 304, 300])
    mutating func permanentStatus(status: Int) throws {
        var connection = try connection()
        _ = try connection.connect(token: nil)
        let error = #expect(throws: EventSourceError.self) {
            try connection.answered(ResponseHead(status: status), using: &random)
        }
        #expect(error?.code == .refused)
        #expect(error?.status == status)
    }

    @Test("A source waits after a transient status", arguments: [408, 425, 429, 500, 501, 502, 503, 504, 599])
    mutating func transientStatus(status: Int) throws {
        var connection = try connection()
        _ = try connection.connect(token: nil)
        let step = try connection.answered(ResponseHead(status: status), using: &random)
        guard case .wait(let time, .answered(status)) = step else { throw Unexpected(step: step) }
        #expect(time == .seconds(1))
        #expect(connection.reconnect() == .connect)
    }

    @Test("A source does not reconnect before the server wants it")
    mutating func retryAfter() throws {
        var connection = try connection()
        _ = try connection.connect(token: nil)
        let step = try connection.answered(ResponseHead(status: 503, retryAfter: .seconds(3600)), using: &random)
        #expect(step == .wait(.seconds(3600), .answered(status: 503)))
    }

    @Test("The status 204 ends the stream")
    mutating func noContent() throws {
        var connection = try connection()
        _ = try connection.connect(token: nil)
        #expect(try connection.answered(ResponseHead(status: 204), using: &random) == .end)
    }

    @Test(
        "Only an event stream is read, and of several types the last one counts, as in Fetch",
        arguments: [
            (["text/event-stream"], nil), (["Text/Event-Stream;charset=utf-8"], nil),
            ([" text/event-stream ; a=b"], nil),
            (["text/html", "text/event-stream"], nil), (["text/event-stream", "x"], nil),
            (["text/html"], .wrongContentType), ([], .wrongContentType), (["text/event-stream2"], .wrongContentType),
            (["text/event-stream, text/html"], .wrongContentType), ([""], .wrongContentType),
        ] as [([String], EventSourceError.Code?)])
    mutating func types(types: [String], code: EventSourceError.Code?) throws {
        var connection = try connection()
        _ = try connection.connect(token: nil)
        let answer = ResponseHead(status: 200, contentTypes: types)
        do throws(EventSourceError) {
            let step = try connection.answered(answer, using: &random)
            #expect(step == .read)
            #expect(code == nil)
        } catch {
            #expect(error.code == code)
        }
    }

    @Test(
        "A compressed stream is refused",
        arguments: [
            (["gzip"], false), (["identity"], true), (["Identity"], true), (["br"], false), ([""], true), ([], true),
            (["identity", "gzip"], false), (["identity, br"], false), (["identity, "], true),
        ])
    mutating func encodings(codings: [String], passes: Bool) throws {
        var connection = try connection()
        _ = try connection.connect(token: nil)
        var answer = Self.stream
        answer.contentEncodings = codings
        let step = try? connection.answered(answer, using: &random)
        #expect((step == .read) == passes)
    }

    @Test("An id is sent once its block has ended, with or without data")
    mutating func lastEventID() throws {
        var connection = try connection(lastEventID: "0")
        #expect(try request(connection.connect(token: nil)).headers["last-event-id"] == "0")
        for (bytes, id) in [
            ("id: 1\ndata: x\n\n", "1"), ("id: 2\n\n", "2"), ("id: 3\ndata: x\n", "2"), ("data: x\n\n", "2"),
            ("id: é\n\n", "é"), ("id\n\n", nil),
        ] {
            #expect(try connection.answered(Self.stream, using: &random) == .read)
            var elements: [EventStreamParser.Element] = []
            try connection.received(Array(bytes.utf8), into: &elements)
            _ = connection.lost(.ended, using: &random)
            #expect(try request(connection.connect(token: nil)).headers["Last-Event-ID"] == id)
        }
    }

    @Test("The server's retry holds for the next reconnects")
    mutating func serverRetry() throws {
        var connection = try connection()
        _ = try connection.connect(token: nil)
        _ = try connection.answered(Self.stream, using: &random)
        var elements: [EventStreamParser.Element] = []
        try connection.received(Array("retry: 90000\n\n".utf8), into: &elements)
        #expect(elements == [.retry(milliseconds: 90000)])
        for _ in 0..<5 { #expect(connection.lost(.timedOut, using: &random) == .wait(.seconds(90), .timedOut)) }
    }

    @Test(
        "An id that a header cannot carry leaves the one before it to be sent",
        arguments: ["a\u{1}b", "\u{7F}", "\u{C}", "a\u{1B}[31m"])
    mutating func unsendableID(id: String) throws {
        var connection = try connection()
        for (bytes, sent) in [
            ("id: \(id)\ndata: x\n\n", nil), ("id: 7\n\nid: \(id)\ndata: x\n\n", "7"), ("id\n\n", nil),
        ] {
            _ = try connection.connect(token: nil)
            #expect(try connection.answered(Self.stream, using: &random) == .read)
            var elements: [EventStreamParser.Element] = []
            try connection.received(Array(bytes.utf8), into: &elements)
            // The event has the id of the server.
            if case .event(let event) = elements.last { #expect(event.id == id) }
            _ = connection.lost(.ended, using: &random)
            #expect(try request(connection.connect(token: nil)).headers["Last-Event-ID"] == sent)
        }
    }

    @Test(
        "Only an event starts the back-off over",
        arguments: [
            ("", false), ("data: x\n", false), (":\n", false), ("retry: 0\n\n", false), ("id: 1\n\n", false),
            ("data: x\n\n", true),
        ])
    mutating func backoff(bytes: String, over: Bool) throws {
        var connection = try connection()
        for _ in 0..<20 { _ = connection.lost(.ended, using: &random) }
        var waits: [Duration] = []
        for _ in 0..<20 {
            _ = try connection.connect(token: nil)
            _ = try connection.answered(Self.stream, using: &random)
            var elements: [EventStreamParser.Element] = []
            try connection.received(Array(bytes.utf8), into: &elements)
            guard case .wait(let wait, .ended) = connection.lost(.ended, using: &random) else { continue }
            waits.append(wait)
        }
        #expect(waits.count == 20)
        #expect(waits.allSatisfy { $0 <= .seconds(2) } == over)
    }

    @Test("An event can be as large as the configuration allows, and no larger")
    mutating func maximumEventBytes() throws {
        for extra in [0, 1] {
            for field in ["data:", "data: "] {
                var connection = try connection { $0.maximumEventBytes = 1000 }
                _ = try connection.connect(token: nil)
                _ = try connection.answered(Self.stream, using: &random)
                var elements: [EventStreamParser.Element] = []
                let text = "data: before\n\n\(field)\(String(repeating: "x", count: 1000 + extra))\n\n"
                do throws(EventSourceError) {
                    try connection.received(Array(text.utf8), into: &elements)
                    #expect(extra == 0)
                    #expect(elements.count == 2)
                } catch {
                    #expect(extra == 1)
                    #expect(error.code == .tooLarge)
                    #expect(elements.count == 1)
                }
            }
        }
    }

    @Test("The size of an event can be unbounded")
    mutating func noBound() throws {
        var connection = try connection { $0.maximumEventBytes = .max }
        _ = try connection.connect(token: nil)
        _ = try connection.answered(Self.stream, using: &random)
        var elements: [EventStreamParser.Element] = []
        try connection.received(Array("data: x\n\n".utf8), into: &elements)
        #expect(elements.count == 1)
    }

    @Test(
        "A URL that no request can be sent to is refused",
        arguments: [
            "", "events", "ftp://a/", "http://", "http:///x", "http://u:p@a/", "http://u@a/", "//a/", "http://a:0/",
            "http://1.2.3.4:65536/",
        ])
    func invalidURL(url: String) {
        #expect(throws: EventSourceError.self) { _ = try ConnectionStateMachine(to: url, .init(), lastEventID: "") }
    }

    @Test("The state of a connection cannot be copied, so a part of an event costs no more than its own bytes")
    func copies() {
        #expect(isCopyable(EventStreamParser.self))
        #expect(!isCopyable(ConnectionStateMachine.self))
    }
}

private func isCopyable<T: ~Copyable>(_ type: T.Type) -> Bool { false }

private func isCopyable<T>(_ type: T.Type) -> Bool { true }

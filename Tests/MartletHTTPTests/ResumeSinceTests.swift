// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Martlet
import MartletHTTP
import MartletTesting
import TestSupport
import Testing

@Suite struct ResumeSinceTests {
    /// Runs a server with a history of two events: one two hours old, one just published.
    private func withHistory(
        _ body: @Sendable @escaping (TestServer, _ old: String, _ new: String) async throws -> Void
    ) async throws {
        let clock = ManualClock()
        try await TestServer.run(hub: quickHub(clock: clock)) { server in
            let old = try await server.hub.publish("old", to: "a")
            clock.advance(by: .seconds(7200))
            let new = try await server.hub.publish("new", to: "a")
            clock.advance(by: .seconds(1))
            try await body(server, old, new)
        }
    }

    @Test("A client begins with what was published at a time or so long ago")
    func clientBegins() async throws {
        let zone = try #require(TimeZone(secondsFromGMT: 7200))
        let style = Date.ISO8601FormatStyle(timeZoneSeparator: .colon, includingFractionalSeconds: true, timeZone: zone)
        let time = Date(timeIntervalSinceNow: -3600)
        let local = time.formatted(style)
        #expect(local.hasSuffix("+02:00"))
        let texts = ["1h", "90m", time.formatted(.iso8601), local, local.replacing("+", with: "%2B")]
        try await withHistory { server, old, _ in
            for text in texts {
                let source = try await TestEventSource(port: server.port, path: "/events/a?since=\(text)")
                let head = TestResponse(source.head + "\r\n\r\n")
                #expect(head.header("last-event-id") == old, "\(text)")
                #expect(head.header("martlet-gap") == nil)
                #expect(try await source.next()?.data == "new", "\(text)")
            }
            for text in ["3h", "365d", "1970-01-01T00:00:00Z", "9223372036854775807ms"] {
                let source = try await TestEventSource(port: server.port, path: "/events/a?since=\(text)")
                #expect(try await source.next()?.data == "old", "\(text)")
                let head = try await server.request("HEAD", "/events/a?since=\(text)")
                #expect(head.header("last-event-id") == TestResponse(source.head + "\r\n\r\n").header("last-event-id"))
            }
        }
    }

    @Test("A time in the future selects events from now on", arguments: ["0s", "9999-12-31T23:59:59Z"])
    func whatIsStillToCome(text: String) async throws {
        try await withHistory { server, _, _ in
            let source = try await TestEventSource(port: server.port, path: "/events/a?since=\(text)")
            try await server.hub.publish("live", to: "a")
            #expect(try await source.next()?.data == "live")
        }
    }

    @Test("The last event that a client saw wins, so that it continues there when it reconnects")
    func whatAClientSawLast() async throws {
        try await withHistory { server, old, new in
            let byHeader = try await TestEventSource(port: server.port, path: "/events/a?since=3h", lastEventID: new)
            try await server.hub.publish("live", to: "a")
            #expect(try await byHeader.next()?.data == "live")
            let byQuery = try await TestEventSource(port: server.port, path: "/events/a?since=3h&lastEventID=\(old)")
            #expect(try await byQuery.next()?.data == "new")
            let empty = try await TestEventSource(port: server.port, path: "/events/a?since=3h&lastEventID=")
            #expect(try await empty.next()?.data == "old")
        }
    }

    @Test("A client is told where history does not reach back so far")
    func clientIsToldWhereHistory() async throws {
        let clock = ManualClock()
        try await TestServer.run(hub: quickHub(retention: Retention(events: 2), clock: clock)) { server in
            for data in ["1", "2"] { try await server.hub.publish(data, to: "a") }
            clock.advance(by: .seconds(3600))
            let third = try await server.hub.publish("3", to: "a")
            let last = try await server.hub.publish("4", to: "a")
            // What the hub has not read yet is not removed.
            try await server.until { $0.end.text == last }
            let late = try await TestEventSource(port: server.port, path: "/events/a?since=2h")
            let head = TestResponse(late.head + "\r\n\r\n")
            #expect(head.header("martlet-gap") == "trimmed")
            let gap = try await late.next()
            #expect(gap?.event == "gap" && gap?.id == head.header("last-event-id"))
            #expect(try await late.next() == ServerSentEvent(data: "3", id: third))
            let early = try await TestEventSource(port: server.port, path: "/events/a?since=30m")
            #expect(TestResponse(early.head + "\r\n\r\n").header("martlet-gap") == nil)
            #expect(try await early.next() == ServerSentEvent(data: "3", id: third))
            let other = try await server.request("HEAD", "/events/b?since=2h")
            #expect(other.header("martlet-gap") == nil)
        }
    }

    @Test(
        "Since is refused if it is neither a time nor a duration, even if it would not count",
        arguments: ["GET", "HEAD"])
    func whatIsNeitherATime(method: String) async throws {
        try await TestServer.run { server in
            for query in ["since=", "since=yesterday", "since=15", "since=15&lastEventID=earliest"] {
                let response = try await server.request(method, "/events/a?\(query)")
                #expect(response.status == 400, "\(query)")
                #expect(method == "HEAD" || response.body.contains(#""field":"since""#), "\(response.body)")
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletHTTP

@Suite("Traces of publishes")
struct TraceTests {
    private static let traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let header = ["traceparent": "00-\(traceID)-00f067aa0ba902b7-01"]

    @Test("An event has the trace of the request that published it, on each way", arguments: [true, false])
    func kept(hasFrontDoor: Bool) async throws {
        try await TestServer.run(hasFrontDoor: hasFrontDoor) { server async throws in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let batch = Self.header.merging(["Content-Type": "application/x-ndjson"]) { $1 }
            let lines = #"{"topic":"a","data":"2"}"# + "\n" + #"{"topic":"a","data":"3"}"#
            for (path, headers, body) in [
                ("/events/a", Self.header, "1"), ("/events", batch, lines),
                ("/events/a?close=1", Self.header, "4"),
            ] {
                #expect(try await server.request("POST", path, headers: headers, body: body).status == 200)
            }
            for number in 1...4 { #expect(try await source.next()?.data == "\(number)") }
            #expect(try await source.next()?.type == "end")
            let slice = try await server.hub.log.read(
                nil, after: .earliest, through: server.hub.end, limit: SliceLimit())
            #expect(slice.records.count == 5)
            for record in slice.records { #expect(record.event.traceParent?.description == Self.header["traceparent"]) }
        }
    }

    @Test(
        "A malformed trace is ignored, and the event is published",
        arguments: [
            "", "nonsense", "00-\(traceID)-0000000000000000-01", "00-\(traceID.uppercased())-00f067aa0ba902b7-01",
        ])
    func malformed(value: String) async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let response = try await server.request("POST", "/events/a", headers: ["traceparent": value], body: "1")
            #expect(response.status == 200)
            #expect(try await source.next()?.data == "1")
            let slice = try await server.hub.log.read(
                nil, after: .earliest, through: server.hub.end, limit: SliceLimit())
            #expect(slice.records.map(\.event.traceParent) == [nil])
        }
    }

    @Test("Two values are no trace")
    func repeated() {
        var headers = HTTPFields()
        for (field, value) in Self.header { headers.append(HTTPField(name: .init(field)!, value: value)) }
        #expect(HubRequest(target: "/events/a", headers: headers).traceParent?.traceID == Self.traceID)
        headers += headers
        #expect(HubRequest(target: "/events/a", headers: headers).traceParent == nil)
    }

    @Test("A line about a publish that failed names its trace", arguments: [true, false])
    func lines(hasFrontDoor: Bool) async throws {
        let log = RecordingLog()
        let hub = Hub(log: FailingLog(), configuration: quickHub().configuration, logger: log.logger)
        try await TestServer.run(hub: hub, logger: log.logger, hasFrontDoor: hasFrontDoor) { server async throws in
            #expect(try await server.request("POST", "/events/a", headers: Self.header, body: "1").status == 503)
            #expect(log.lines.contains { $0.contains("The log does not answer.") && $0.contains(Self.traceID) })
        }
    }
}

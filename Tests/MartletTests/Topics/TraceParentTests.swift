// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Martlet

@Suite("The place in a trace")
struct TraceParentTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let parent = "00f067aa0ba902b7"
    private static let text = "00-\(trace)-\(parent)-01"

    @Test("Version 00 is read and written as it is")
    func version00() throws {
        let value = try #require(TraceParent(Self.text))
        #expect(value.traceID == Self.trace)
        #expect(value.parentID == Self.parent)
        #expect(value.flags == 1)
        #expect(value.description == Self.text)
        #expect(TraceParent("00-\(Self.trace)-\(Self.parent)-ff")?.flags == 0xFF)
    }

    @Test(
        "Of a later version the known part counts",
        arguments: ["cc-\(trace)-\(parent)-01", "01-\(trace)-\(parent)-ff-what", "fe-\(trace)-\(parent)-03-"])
    func laterVersions(text: String) {
        #expect(TraceParent(text)?.description == Self.text)
    }

    @Test(
        "Anything malformed is nothing",
        arguments: [
            "", "00", "\(text) ", " \(text)", "\(text)-", "\(text)-more", "\(text),\(text)",
            "ff-\(trace)-\(parent)-01", "0-\(trace)-\(parent)-01", "00-\(trace)-\(parent)-1",
            "00-\(trace)-\(parent)", "00_\(trace)-\(parent)-01", "00-\(trace)_\(parent)-01",
            "00-\(trace)-\(parent)_01", "01-\(trace)-\(parent)-01.", "0g-\(trace)-\(parent)-01",
            "00-\(trace.uppercased())-\(parent)-01", "00-\(trace)-\(parent.uppercased())-01",
            "00-\(String(repeating: "0", count: 32))-\(parent)-01",
            "00-\(trace)-\(String(repeating: "0", count: 16))-01",
            "00-\(trace)-\(parent)-0\u{301}1", "00-\(trace.dropLast())é-\(parent)-01",
            String(repeating: "0", count: 55), String(repeating: "-", count: 55),
            String(repeating: "0-", count: 100_000),
        ])
    func malformed(text: String) {
        #expect(TraceParent(text) == nil)
    }

    private static func take(_ values: [(String, String?)], into fields: inout EventFields) -> Bool {
        values.allSatisfy { fields.take($0, $1) }
    }

    @Test("A trace survives as a field of an event, and a malformed or repeated one costs nothing but itself")
    func fields() throws {
        var event = Event(topic: "a", data: "1")
        event.traceParent = TraceParent(Self.text)
        var fields = EventFields()
        let areTaken = Self.take(EventFields.of(event).map { ($0.name, $0.value) }, into: &fields)
        #expect(areTaken)
        #expect(fields.event(within: Limits()) == event)
        for bad in ["nonsense", nil] {
            var fields = EventFields()
            let areTaken = Self.take([("topic", "a"), ("data", "1"), ("traceparent", bad)], into: &fields)
            #expect(areTaken)
            #expect(fields.event(within: Limits()) == Event(topic: "a", data: "1"))
        }
        let isTaken = fields.take("traceparent", "00-\(Self.trace)-0000000000000001-00")
        #expect(isTaken)
        #expect(fields.event(within: Limits())?.traceParent == TraceParent(Self.text))
    }

    @Test("A trace is among the statements that a file keeps, and is counted as memory")
    func statements() throws {
        var event = Event(topic: "a", data: "1")
        let bytes = event.byteCount
        event.traceParent = TraceParent(Self.text)
        event.writer = TopicWriter("w\nx", epoch: 3)
        var read = Event(topic: "a", data: "1")
        let isTaken = read.take(statements: try #require(event.statements))
        #expect(isTaken)
        #expect(read == event)
        #expect(event.byteCount == bytes + Event.traceOverheadBytes)
        event.traceParent = nil
        #expect(read.withoutExpiry == event)
    }
}

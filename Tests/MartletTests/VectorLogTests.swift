// SPDX-License-Identifier: Apache-2.0

import Martlet
import TestSupport
import Testing

/// `even` is a topic of the first partition, `odd` of the second.
@Suite("A log of two partitions", .timeLimit(.minutes(10)))
struct VectorLogTests {
    private let even: Topic = "b"
    private let odd: Topic = "a"

    @Test("A topic has its partition by the sum of its bytes")
    func partitions() {
        #expect(VectorLog.partition(of: even) == .first)
        #expect(VectorLog.partition(of: odd) == .second)
        #expect(VectorLog.partition(of: "aa") == .first)
        #expect(VectorLog.partition(of: "\u{E9}") == .first)
    }

    @Test("Positions count the events of both partitions")
    func positions() async throws {
        let log = VectorLog()
        #expect(try await log.open() == Position("0.0"))
        #expect(try await log.append(odd, "1") == [Position("0.1")])
        #expect(try await log.append(even, "2", "3") == [Position("1.1"), Position("2.1")])
        #expect(try await log.open() == Position("2.1"))
    }

    @Test("Two nodes hand on the same events in different orders")
    func interleavings() async throws {
        let store = VectorLog.Store()
        let nodes = [VectorLog(store, readsFirst: .first), VectorLog(store, readsFirst: .second)]
        let start = try await nodes[0].open()
        try await nodes[0].append(odd, "1")
        try await nodes[1].append(even, "2")
        try await nodes[0].append(odd, "3")
        let expected = [["1.0", "1.1", "1.2"], ["0.1", "0.2", "1.2"]]
        for (node, positions) in zip(nodes, expected) {
            let slice = try await node.tail(after: start, limit: SliceLimit())
            #expect(slice.records.map(\.position.text) == positions)
            #expect(slice.end == Position("1.2"))
            let read = try await node.read(nil, after: start, through: slice.end, limit: SliceLimit())
            #expect(read.records == slice.records)
        }
    }

    @Test("A position covers another where it has as much of both partitions")
    func covers() {
        let log = VectorLog()
        let places: [Position] = ["0.0", "3.5", "5.3", "5.5"]
        let expected = [
            [true, false, false, false],
            [true, true, false, false],
            [true, false, true, false],
            [true, true, true, true],
        ]
        for (place, row) in zip(places, expected) {
            #expect(places.map { log.covers(place, $0) } == row)
            #expect(log.covers(place, .earliest))
            #expect(!log.covers(.earliest, place))
        }
        #expect(log.covers(.earliest, .earliest))
    }

    @Test(
        "A position has one spelling; whatever is spelled otherwise is unknown",
        arguments: [
            "03.5", "3", "3.5.0", ".5", "3.", "+3.5", "3,5", " 3.5", "-1.0", "18446744073709551616.0",
        ])
    func spelling(text: String) async throws {
        let log = VectorLog()
        try await log.append(even, "1", "2", "3", "4")
        let resolution = try await log.resolve(text, for: .of(even, odd))
        #expect(resolution == Resolution(position: .earliest, gap: .unknown))
        let error = await #expect(throws: MartletError.self) { try await log.texts(after: Position(text)) }
        #expect(error?.code == .invalidID)
    }

    @Test("A position that is ahead of the store is of history that was rolled back", arguments: ["3.1", "2.2", "9.9"])
    func rolledBack(text: String) async throws {
        let log = VectorLog()
        try await log.append(even, "1", "2")
        try await log.append(odd, "3")
        #expect(try await log.resolve("2.1", for: .of(even)) == Resolution(position: Position("2.1")))
        let resolution = try await log.resolve(text, for: .of(even))
        #expect(resolution == Resolution(position: .earliest, gap: .rolledBack))
    }

    @Test("A publisher cannot choose the spelling of a position, and nothing of such a batch is accepted")
    func reservedIDs() async throws {
        let log = VectorLog()
        let events = ["1", "3.5", "2"].map { Event(topic: even, data: "", id: $0) }
        let error = await #expect(throws: MartletError.self) { try await log.append(events) }
        #expect(error?.code == .invalidID)
        #expect(error?.field == "id")
        #expect(try await log.texts() == [])
    }

    @Test("A publisher's id says nothing about the other partition, so that nothing of it is missed")
    func publisherID() async throws {
        let log = VectorLog()
        try await log.append(odd, "1", "2")
        try await log.append(even, "3")
        let event = Event(topic: even, data: "4", id: "chosen")
        _ = try await log.append([event])
        try await log.append(odd, "5")
        _ = try await log.append([event])
        #expect(try await log.resolve("chosen", for: .of(even, odd)) == Resolution(position: Position("2.0")))
    }

    @Test("A publisher's id stands at its earliest selected occurrence, as long as none was removed")
    func trimmedPublisherID() async throws {
        let log = VectorLog(VectorLog.Store(eventsPerPartition: 2))
        _ = try await log.append([odd, even, odd].map { Event(topic: $0, data: "", id: "chosen") })
        #expect(try await log.resolve("chosen", for: .of(odd, even)) == Resolution(position: Position("0.1")))
        #expect(try await log.resolve("chosen", for: .of(even)) == Resolution(position: Position("1.0")))
        try await log.append(odd, "x")
        #expect(try await log.resolve("chosen", for: .of(odd)) == Resolution(position: .earliest, gap: .trimmed))
        try await log.append(even, "x", "x")
        #expect(try await log.resolve("chosen", for: .of(odd)) == Resolution(position: .earliest, gap: .trimmed))
        try await log.append(odd, "x", "x")
        #expect(try await log.resolve("chosen", for: .of(odd)) == Resolution(position: .earliest, gap: .unknown))
    }
}

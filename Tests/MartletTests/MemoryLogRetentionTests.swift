// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import TestSupport
import Testing

@Suite("The history of the log in memory", .timeLimit(.minutes(10)))
struct MemoryLogRetentionTests {
    private let clock = ManualClock()

    @Test("The newest events are kept, as many as retention allows")
    func count() async throws {
        let log = MemoryLog(retention: Retention(events: 3), clock: clock)
        try await log.append("news", "1", "2", "3")
        #expect(try await log.texts() == ["1", "2", "3"])
        try await log.append("news", "4")
        #expect(try await log.texts() == ["2", "3", "4"])
        #expect(log.size.events == 3)
    }

    @Test("The newest events are kept, as many bytes as retention allows")
    func bytes() async throws {
        let event = Event(topic: "news", data: "text", id: "id", type: "type", key: "key")
        let size = event.byteCount
        let exact = MemoryLog(retention: Retention(bytes: 3 * size), clock: clock)
        let small = MemoryLog(retention: Retention(bytes: 3 * size - 1), clock: clock)
        for _ in 0..<3 {
            _ = try await exact.append([event])
            _ = try await small.append([event])
        }
        #expect(exact.size == (3, 3 * size))
        #expect(small.size == (2, 2 * size))
        _ = try await exact.append([event])
        #expect(exact.size == (3, 3 * size))
    }

    @Test("An event is kept up to the age that retention allows")
    func age() async throws {
        let log = MemoryLog(retention: Retention(age: .seconds(60)), clock: clock)
        try await log.append("news", "1")
        clock.advance(by: .seconds(20))
        try await log.append("news", "2")
        clock.advance(by: .seconds(40))
        #expect(try await log.texts() == ["1", "2"])
        clock.advance(by: .nanoseconds(1))
        #expect(try await log.texts() == ["2"])
        clock.advance(by: .seconds(20))
        #expect(try await log.texts() == [])
        #expect(log.size == (0, 0))
    }

    @Test("Resolving and appending also remove events that are too old")
    func ageWithoutReading() async throws {
        let log = MemoryLog(retention: Retention(age: .seconds(60)), clock: clock)
        try await log.append("news", "1")
        clock.advance(by: .seconds(61))
        _ = try await log.resolve("earliest", for: .of("news"))
        #expect(log.size.events == 0)
        try await log.append("news", "2")
        clock.advance(by: .seconds(61))
        try await log.append("news", "3")
        #expect(log.size.events == 1)
    }

    @Test("A retention of nothing keeps no event that the tail has read")
    func nothing() async throws {
        let log = MemoryLog(retention: Retention(events: 0), clock: clock)
        let start = try await log.open()
        let position = try await log.append("news", "1")[0]
        #expect(try await log.tail(after: start, limit: SliceLimit()).records.count == 1)
        #expect(try await log.texts() == [])
        #expect(try await log.resolve(position.text, for: .of("news")).gap == nil)
    }

    @Test("Events that the tail has not read are kept beyond retention")
    func untailed() async throws {
        let retention = Retention(events: 1, bytes: 1, age: .seconds(1))
        let log = MemoryLog(retention: retention, clock: clock)
        try await log.append("news", "0", "00")
        #expect(log.size.events == 0, "a log that was not opened has no tail")
        let start = try await log.open()
        try await log.append("news", "1", "2", "3")
        clock.advance(by: .seconds(60))
        try await log.append("news", "4")
        #expect(log.size.events == 4)

        var slice = try await log.tail(after: start, limit: SliceLimit(events: 2))
        #expect(slice.records.map(\.event.data) == ["1", "2"])
        #expect(slice.gap == nil)
        _ = try await log.resolve("earliest", for: .of("news"))
        #expect(log.size.events == 2)

        slice = try await log.tail(after: slice.end, limit: SliceLimit())
        #expect(slice.records.map(\.event.data) == ["3", "4"])
        #expect(slice.gap == nil)
    }

    @Test("Each instance has its own epoch")
    func epochs() async throws {
        let log = MemoryLog(clock: clock)
        let other = MemoryLog(clock: clock)
        let mine = try await log.append("news", "1", "2")
        let foreign = try await other.append("news", "1", "2")
        #expect(Set(mine).isDisjoint(with: foreign))
        #expect(!log.covers(mine[0], foreign[0]))
        #expect(!log.covers(foreign[1], mine[0]))
        for position in foreign {
            let resolution = try await log.resolve(position.text, for: .of("news"))
            #expect(resolution.gap == .epoch)
            // It is of this epoch, so that after the next restart it is a gap again.
            #expect(log.covers(mine[0], resolution.position))
            #expect(!log.covers(resolution.position, mine[0]))
        }
        let error = await #expect(throws: MartletError.self) { try await log.texts(after: foreign[0]) }
        #expect(error?.code == .invalidID)
    }
}

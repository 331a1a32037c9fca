// SPDX-License-Identifier: Apache-2.0

import Martlet
import TestSupport
import Testing

/// `b` is a topic of the first partition; `a`, `c`, `e` and `g` are of the second.
@Suite("What a log of two partitions says of what it has removed", .timeLimit(.minutes(10)))
struct VectorLogGapTests {
    private let even: Topic = "b"
    private let odd: Topic = "a"
    private let log = VectorLog(VectorLog.Store(eventsPerPartition: 2))

    @Test("Each partition keeps as many events as the store says")
    func retention() async throws {
        try await log.append(even, "1", "2")
        try await log.append(odd, "3", "4", "5")
        #expect(try await log.texts() == ["1", "2", "4", "5"])
        try await log.append(even, "6")
        #expect(try await log.texts() == ["2", "6", "4", "5"])
    }

    @Test("A client that has missed events continues where it stood, or behind removed events")
    func trimmed() async throws {
        try await log.append(even, "1", "2")
        try await log.append(odd, "1", "2", "3", "4", "5")
        let expected = Resolution(position: Position("1.3"), gap: .trimmed)
        #expect(try await log.resolve("1.2", for: .of(odd)) == expected)
        #expect(try await log.resolve("1.3", for: .of(odd)).gap == nil)
        let slice = try await log.read(.of(odd), after: Position("1.2"), through: Position("2.5"), limit: SliceLimit())
        #expect(slice.gap == Position("1.3"))
        #expect(slice.records.map(\.position.text) == ["2.4", "2.5"])
        #expect(slice.end == Position("2.5"))
        let tail = try await log.tail(after: Position("1.2"), limit: SliceLimit())
        #expect(tail.gap == Position("1.3"))
        #expect(tail.records.map(\.position.text) == ["2.3", "2.4", "2.5"])
    }

    @Test("There is no gap for who selects nothing of what was removed")
    func otherTopics() async throws {
        try await log.append(even, "1")
        try await log.append(odd, "1", "2", "3", "4", "5")
        #expect(try await log.resolve("0.0", for: .of(even)) == Resolution(position: Position("0.0")))
        let selection = Selection.of(even, "c")
        #expect(try await log.resolve("0.0", for: selection).gap == nil)
        let slice = try await log.read(selection, after: Position("0.0"), through: Position("1.5"), limit: SliceLimit())
        #expect(slice.gap == nil)
        #expect(slice.records.map(\.position.text) == ["1.3"])
    }

    @Test("An event that was removed is a gap for its other topics too, wherever theirs are")
    func alternateTopics() async throws {
        _ = try await log.append([Event(topic: odd, alternates: [even], data: "1")])
        try await log.append(odd, "2", "3")
        #expect(try await log.resolve("0.0", for: .of(even)).gap == .trimmed)
        #expect(try await log.resolve("0.1", for: .of(even)).gap == nil)
    }

    @Test("Past the bound of what a partition remembers any topic may have had a gap")
    func forgottenTopics() async throws {
        let log = VectorLog(VectorLog.Store(eventsPerPartition: 0, trimmedTopics: 2))
        for topic in [odd, "c", "e"] as [Topic] { try await log.append(topic, "1") }
        #expect(try await log.resolve("0.0", for: .of("g")).gap == .trimmed)
        #expect(try await log.resolve("0.3", for: .of("g")).gap == nil)
    }

    @Test("There is no gap in what a reader does not ask for")
    func beyond() async throws {
        try await log.append(even, "1")
        try await log.append(odd, "1", "2", "3", "4", "5")
        let slice = try await log.read(
            .of(even, odd), after: Position("0.0"), through: Position("1.0"), limit: SliceLimit()
        )
        #expect(slice.gap == nil)
        #expect(slice.end == Position("1.0"))
    }

    @Test("Nothing is ever missing after the earliest, nor behind the first event that was read from there")
    func earliest() async throws {
        try await log.append(even, "1", "2", "3")
        try await log.append(odd, "1", "2", "3")
        let through = Position("3.3")
        let slice = try await log.read(nil, after: .earliest, through: through, limit: SliceLimit(events: 1))
        #expect(slice.gap == nil)
        #expect(slice.records.map(\.position.text) == ["2.1"])
        #expect(try await log.resolve("2.1", for: .of(even, odd)).gap == nil)
        #expect(try await log.tail(after: .earliest, limit: SliceLimit()).gap == nil)
    }

    @Test("Private events are no gap to those who may not see them")
    func privateEvents() async throws {
        _ = try await log.append([Event(topic: odd, data: "", isPrivate: true)])
        try await log.append("c", "1", "2")
        #expect(try await log.resolve("0.0", for: .of(odd)).gap == nil)
        #expect(try await log.resolve("0.0", for: .of(odd, includesPrivate: true)).gap == .trimmed)
    }
}

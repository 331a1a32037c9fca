// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import Synchronization
import TestSupport
import Testing

@testable import MartletSQLite

/// Whether a test is over.
private final class Done: Sendable {
    let isDone = Mutex(false)
}

@Suite("Bounds for single topics, in a file", .timeLimit(.minutes(10)))
struct RulesTests {
    @Test("The log in a file keeps what a naive history keeps, over restarts and crashes, and tells the same gaps")
    func model() async throws {
        try await TemporaryFolder.with { folder in
            let clocks = TestClocks()
            let log = folder.log(
                "hub.db", durability: .os, retention: RuleSimulation.retention, rules: RuleSimulation.rules,
                clocks: clocks.machine)
            var random = SeededGenerator(seed: FuzzSettings.seed)
            let subject = RuleSimulation.Subject(
                log, size: { log.size }, settle: { _ in try await log.follow() },
                restart: {
                    await log.close(properly: Bool.random(using: &random))
                    _ = try await log.open()
                })
            try await RuleSimulation.run(subject, steps: FuzzSettings.count ?? 1500, seed: FuzzSettings.seed) {
                clocks.advance(by: $0)
            }
            #expect(log.fault == nil)
            await log.close()
        }
    }

    @Test("A busy topic does not remove the events of another, also after a restart, and the file stays small")
    func busy() async throws {
        try await TemporaryFolder.with { folder in
            let make = {
                folder.log(
                    "hub.db", durability: .os, retention: Retention(events: 100),
                    rules: [.init(topics: "busy/{id}", events: 10)])
            }
            var log = make()
            _ = try await log.open()
            let first = try await log.append("quiet", "1", "2")[0]
            for round in 0..<50 {
                _ = try await log.append(
                    (0..<100).map { Event(topic: "busy/1", data: "\(100 * round + $0)", id: "id \($0)") })
                try await log.follow()
            }
            for _ in 0..<2 {
                #expect(log.size.events == 12)
                #expect(try await log.texts(.of("quiet")) == ["1", "2"])
                let end = try await log.open()
                let quiet = try await log.read(.of("quiet"), after: first, through: end, limit: SliceLimit())
                #expect(quiet.gap == nil && quiet.isComplete)
                let both = try await log.read(.of("quiet", "busy/1"), after: first, through: end, limit: SliceLimit())
                #expect(both.gap != nil)
                #expect(both.records.map(\.event.data) == ["2"] + (4990..<5000).map { "\($0)" })
                #expect(
                    try await log.history.file.pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM hole") } == 1
                )
                await log.abandon()
                log = make()
                _ = try await log.open()
            }
            await log.close()
        }
    }

    @Test("An event that is missing beside removed ones is damage")
    func damage() async throws {
        try await TemporaryFolder.with { folder in
            let make = { folder.log("hub.db", rules: [.init(topics: "one", events: 1)]) }
            for sql in [
                "DELETE FROM event WHERE offset = 2", "DELETE FROM hole", "UPDATE hole SET last = last + 1",
                "UPDATE thinned SET last = 1", "UPDATE thinned SET name = 'e other'",
            ] {
                folder.remove("hub.db")
                var log = make()
                _ = try await log.open()
                try await log.append("one", "a")
                try await log.append("free", "b")
                try await log.append("one", "c", "d", "e")
                try await log.follow()
                #expect(try await log.texts() == ["b", "e"])
                await log.close()
                let queue = try DatabaseQueue(path: folder.path("hub.db"))
                try await queue.write { try $0.execute(sql: sql) }
                try queue.close()
                log = make()
                let error = await #expect(throws: SQLiteLogError.self, "\(sql)") { _ = try await log.open() }
                #expect(error?.code == .damaged)
            }
        }
    }

    @Test("A reader of events that rules are removing waits for the gap, and none is taken for damage")
    func readers() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db", durability: .os, rules: [.init(topics: "busy", events: 20)])
            let begin = try await log.open()
            try await log.append("quiet", "first")
            let isDone = Flag()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        while !isDone.isSet {
                            let end = try log.history.position(log.history.last)
                            var (place, isComplete, last) = (begin, false, -1)
                            while !isComplete {
                                let slice = try await log.read(
                                    .of("busy", "quiet"), after: place, through: end, limit: SliceLimit(events: 5))
                                for record in slice.records where record.event.topic == "busy" {
                                    let number = Int(record.event.data) ?? 0
                                    #expect(number > last)
                                    #expect(number == last + 1 || slice.gap != nil, "\(last) and then \(number)")
                                    last = number
                                }
                                (place, isComplete) = (slice.end, slice.isComplete)
                            }
                        }
                    }
                }
                for number in 0..<1500 {
                    try await log.append("busy", "\(number)")
                    if number % 3 == 0 { try await log.follow() }
                }
                isDone.set()
                try await group.waitForAll()
            }
            #expect(log.fault == nil)
            await log.close()
        }
    }

    @Test("Topics of removed events are bounded in the file")
    func boundedTopics() async throws {
        try await TemporaryFolder.with { folder in
            let make = {
                folder.log("hub.db", durability: .os, rules: [.init(topics: "t/{id}", events: 1)], trimmedTopics: 20)
            }
            var log = make()
            let begin = try await log.open()
            for number in 0..<60 {
                let topic = try Topic("t/\(number)")
                _ = try await log.append([Event(topic: topic, data: "1")])
                _ = try await log.append([Event(topic: topic, data: "2")])
                try await log.follow()
            }
            let rows = try await log.history.file.pool.read {
                try Int.fetchOne($0, sql: "SELECT count(*) FROM thinned")
            }
            #expect(rows == 21)
            for _ in 0..<2 {
                let end = try await log.open()
                for number in [0, 30, 59] {
                    let selection = Selection(topics: [try Topic("t/\(number)")])
                    let slice = try await log.read(selection, after: begin, through: end, limit: SliceLimit())
                    #expect(slice.gap != nil && slice.records.map(\.event.data) == ["2"])
                }
                await log.abandon()
                log = make()
                _ = try await log.open()
            }
            await log.close()
        }
    }

    @Test("Values outlive what rules remove, and a key whose first event was removed is new")
    func valuesAndKeys() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db", rules: [.init(topics: "one", events: 1)])
            _ = try await log.open()
            _ = try await log.append([Event(topic: "one", data: "a", key: "k")])
            let batch = [
                Event(topic: "free", data: "1"), Event(topic: "one", data: "2"), Event(topic: "free", data: "3"),
            ]
            let positions = try await log.append(batch, once: "key")
            let other = try await log.append([batch[1]], once: "other")
            try await log.append("one", "newest")
            try await log.follow()
            #expect(try await log.texts() == ["1", "3", "newest"])
            #expect(try await log.append(batch, once: "key") == positions)
            #expect(try await log.append([batch[1]], once: "other") != other)
            let error = await #expect(throws: MartletError.self) {
                try await log.append([batch[0], batch[1], batch[1]], once: "key")
            }
            #expect(error?.code == .keyReused)
            #expect(try await log.present(through: .earliest).values.map(\.event.data) == ["a"])
            await log.close()
        }
    }

    @Test("A publish costs the same however many topics have a rule", .enabled(if: FuzzSettings.count != nil))
    func cost() async throws {
        for topics in [100, 1000, 10_000, 50_000] {
            try await TemporaryFolder.with { folder in
                let log = folder.log("hub.db", durability: .os, rules: [.init(topics: "chat/{id}", events: 3)])
                _ = try await log.open()
                var number = 0
                for round in 0..<5 {
                    let start = ContinuousClock.now
                    for _ in 0..<50 {
                        let events = try (0..<1000).map { _ in
                            number = (number + 7919) % topics
                            return Event(topic: try Topic("chat/\(number)"), data: "data")
                        }
                        _ = try await log.append(events)
                        try await log.follow()
                    }
                    print("\(topics) topics, round \(round): \((ContinuousClock.now - start) / 50_000) for an event")
                }
                await log.close()
            }
        }
    }
}

private final class Flag: Sendable {
    private let state = Atomic(false)

    var isSet: Bool { state.load(ordering: .acquiring) }
    func set() { state.store(true, ordering: .releasing) }
}

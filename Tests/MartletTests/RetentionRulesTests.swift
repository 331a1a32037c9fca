// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import TestSupport
import Testing

@Suite("Bounds for single topics, in memory", .timeLimit(.minutes(10)))
struct RetentionRulesTests {
    @Test("The log in memory keeps what a naive history keeps, and tells the same readers of gaps")
    func model() async throws {
        let clock = ManualClock()
        let log = MemoryLog(retention: RuleSimulation.retention, rules: RuleSimulation.rules, clock: clock)
        var tailed = try await log.open()
        let subject = RuleSimulation.Subject(
            log, size: { log.size },
            settle: { newest in
                while tailed != newest { tailed = try await log.tail(after: tailed, limit: SliceLimit()).end }
                _ = try await log.resolve(Position.earliest.text, for: .of("none"))
            })
        let steps = FuzzSettings.count ?? 3000
        try await RuleSimulation.run(subject, steps: steps, seed: FuzzSettings.seed) {
            clock.advance(by: .seconds($0))
        }
    }

    @Test("A busy topic does not remove the events of another, and a reader of the other gets no gap")
    func busy() async throws {
        let log = MemoryLog(
            retention: Retention(events: 100), rules: [.init(topics: "busy/{id}", events: 10)], clock: ManualClock())
        let first = try await log.append("quiet", "1", "2")[0]
        for number in 0..<100_000 { try await log.append("busy/1", "\(number)") }
        #expect(log.size.events == 12)
        #expect(try await log.texts(.of("quiet")) == ["1", "2"])
        #expect(try await log.resolve(first.text, for: .of("quiet")) == Resolution(position: first))
        let end = try await log.open()
        let quiet = try await log.read(.of("quiet"), after: first, through: end, limit: SliceLimit())
        #expect(quiet.gap == nil && quiet.isComplete)
        let both = try await log.read(.of("quiet", "busy/1"), after: first, through: end, limit: SliceLimit())
        #expect(both.gap != nil)
        #expect(both.records.map(\.event.data) == ["2"] + (99_990..<100_000).map { "\($0)" })
    }

    @Test("A burst of a topic with a rule does not remove the events of another, before the tail has read it")
    func burst() async throws {
        let log = MemoryLog(
            retention: Retention(events: 20), rules: [.init(topics: "busy/{id}", events: 5)], clock: ManualClock())
        var place = try await log.open()
        try await log.append("quiet", "1", "2")
        let last = try await log.append((0..<100).map { Event(topic: "busy/1", data: "\($0)") }).last
        while place != last { place = try await log.tail(after: place, limit: SliceLimit()).end }
        #expect(try await log.texts() == ["1", "2", "95", "96", "97", "98", "99"])
    }

    @Test("A retry with a key is answered although rules have removed some of its events")
    func keys() async throws {
        let log = MemoryLog(rules: [.init(topics: "one", events: 1)], clock: ManualClock())
        let batch = [Event(topic: "free", data: "1"), Event(topic: "one", data: "2"), Event(topic: "free", data: "3")]
        let positions = try await log.append(batch, once: "key")
        try await log.append("one", "newer")
        #expect(try await log.texts() == ["1", "3", "newer"])
        #expect(try await log.append(batch, once: "key") == positions)
        let error = await #expect(throws: MartletError.self) {
            try await log.append([batch[0], batch[1], batch[1]], once: "key")
        }
        #expect(error?.code == .keyReused)
    }

    @Test("The first rule that matches applies, and topics without a rule have no bounds of their own")
    func order() async throws {
        let rules: RetentionRules = [
            .init(topics: "chat/1", events: 2), .init(topics: "chat/{id}", events: 1), .init(topics: "x{y", events: 1),
        ]
        let log = MemoryLog(rules: rules, clock: ManualClock())
        for topic in ["chat/1", "chat/2", "other"] as [Topic] { try await log.append(topic, "a", "b", "c") }
        #expect(try await log.texts(.of("chat/1")) == ["b", "c"])
        #expect(try await log.texts(.of("chat/2")) == ["c"])
        #expect(try await log.texts(.of("other")) == ["a", "b", "c"])
    }

    @Test("A publish costs the same however many topics have a rule", .enabled(if: FuzzSettings.count != nil))
    func cost() async throws {
        for topics in [100, 1000, 10_000, 100_000] {
            let log = MemoryLog(
                retention: Retention(events: 2_000_000, bytes: 1 << 40),
                rules: [.init(topics: "chat/{id}", events: 3, age: .seconds(3600))])
            let names = (0..<topics).compactMap { try? Topic("chat/\($0)") }
            for round in 0..<4 {
                let start = ContinuousClock.now
                var number = 0
                for _ in 0..<100_000 {
                    _ = try log.appendNow([Event(topic: names[number], data: "data")], once: nil)
                    number = (number + 7919) % topics
                }
                if round == 3 || topics == 100_000 {
                    print("\(topics) topics, round \(round): \((ContinuousClock.now - start) / 100_000) for a publish")
                }
            }
        }
    }
}

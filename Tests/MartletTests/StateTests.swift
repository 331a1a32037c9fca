// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import TestSupport
import Testing

@testable import Martlet

@Suite struct StateTests {
    private static func text(_ state: CurrentState) -> [String] {
        state.values.map { "\($0.topic) \($0.key) \($0.data)" }
    }

    @Test("The state has the newest value of each key that the reader may see")
    func stateHasTheNewest() async throws {
        try await withHub { hub in
            let selection = Selection(topics: ["a", "b"])
            let empty = try await hub.state(of: selection)
            #expect(empty.values.isEmpty)
            try await hub.publish(Event(topic: "a", data: "1", key: "x"))
            try await hub.publish(Event(topic: "a", data: "2", type: "t", key: "y"))
            try await hub.publish("no key", to: "a")
            try await hub.publish(Event(topic: "b", data: "3", key: "x"))
            try await hub.publish(Event(topic: "c", data: "4", key: "x"))
            try await hub.publish(Event(topic: "a", data: "5", key: "z", isPrivate: true))
            let before = try await hub.state(of: selection)
            #expect(Self.text(before) == ["a x 1", "a y 2", "b x 3"])
            #expect(before.values.map(\.type) == [nil, "t", nil])
            try await hub.publish("no key", to: "a")
            let same = try await hub.state(of: selection)
            #expect(same.version == before.version)
            #expect(same.lastEventID != before.lastEventID)
            let last = try await hub.publish(Event(topic: "a", data: "6", key: "x"))
            let after = try await hub.state(of: selection)
            #expect(Self.text(after) == ["a y 2", "b x 3", "a x 6"])
            #expect(after.version != before.version)
            #expect(after.values.last?.id == last)
            try await hub.publish(Event(topic: "a", data: "", key: "y"))
            #expect(Self.text(try await hub.state(of: selection)) == ["b x 3", "a x 6"])
            let all = Selection(topics: ["a"], includesPrivate: true)
            #expect(Self.text(try await hub.state(of: all)) == ["a z 5", "a x 6"])
            try await hub.purge("a")
            #expect(Self.text(try await hub.state(of: selection)) == ["b x 3"])
        }
    }

    @Test("A reader knows a value by a topic of its own")
    func readerKnowsAValue() async throws {
        try await withHub { hub in
            try await hub.publish(Event(topic: "a", alternates: ["b"], data: "1", key: "k"))
            try await hub.publish(Event(topic: "a", alternates: ["b"], data: "2", key: "l", isPrivate: true))
            #expect(Self.text(try await hub.state(of: Selection(topics: ["b"]))) == ["b k 1"])
            let granted = Selection(selectors: [.every], grants: [TopicSelector("b" as Topic)])
            #expect(Self.text(try await hub.state(of: granted)) == ["a k 1", "b l 2"])
        }
    }

    @Test("A state that is read while values change is that of one moment", arguments: 0..<6)
    func stateThatIsReadWhile(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        let log: any Log = round % 2 == 0 ? MemoryLog() : VectorLog(VectorLog.Store(), readsFirst: .first)
        let base = HubConfiguration.with { $0.slice = SliceLimit(events: 5) }
        try await withHub(log: log, base: base) { hub in
            let selection = Selection(topics: ["a"])
            // Every change sets a key and its twin to the same number, at once.
            @Sendable func publish(_ key: Int, _ number: String) async throws {
                try await hub.publish(contentsOf: [
                    Event(topic: "a", data: number, key: "\(key)"), Event(topic: "a", data: number, key: "\(key)'"),
                ])
            }
            for key in 0..<40 { try await publish(key, "0") }
            try await withThrowingTaskGroup { group in
                group.addTask {
                    var random = SeededGenerator(seed: seed)
                    for number in 1..<400 {
                        // One in five removes the pair.
                        let isRemoved = Int.random(in: 0..<5, using: &random) == 0
                        try await publish(Int.random(in: 0..<40, using: &random), isRemoved ? "" : "\(number)")
                        try await Task.step()
                    }
                }
                group.addTask {
                    for _ in 0..<40 {
                        let state: CurrentState
                        do {
                            state = try await hub.state(of: selection)
                        } catch let error as MartletError where error.code == .overloaded {
                            continue
                        }
                        let values = Dictionary(uniqueKeysWithValues: state.values.map { ($0.key, $0.data) })
                        // All that was ever published, up to the place of the state.
                        var expected: [String: String] = [:]
                        var (place, isComplete) = (Position.earliest, false)
                        while !isComplete {
                            let slice = try await hub.log.read(
                                selection, after: place, through: Position(state.lastEventID), limit: SliceLimit())
                            for record in slice.records {
                                expected[record.event.key ?? ""] = record.event.data.isEmpty ? nil : record.event.data
                            }
                            (place, isComplete) = (slice.end, slice.isComplete)
                        }
                        #expect(values == expected, "seed \(seed)")
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("A subscriber that goes on from a state receives each later change once")
    func subscriberThatGoesOn() async throws {
        try await withHub { hub in
            for number in 0..<10 { try await hub.publish(Event(topic: "a", data: "\(number)", key: "\(number % 3)")) }
            let state = try await hub.state(of: Selection(topics: ["a"]))
            #expect(state.values.map(\.data) == ["7", "8", "9"])
            try await hub.publish(Event(topic: "a", data: "10", key: "0"))
            let next = try await read(1, from: hub, to: ["a"], after: state.lastEventID)
            #expect(next.map(\.data) == ["10"])
        }
    }
}

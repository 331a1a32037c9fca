// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import MartletValues
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct StateTopicTests {
    private func hub(_ log: any Log) -> Hub { Hub(log: log, logger: quiet) }

    /// Sets the state as another program does.
    @discardableResult
    private func publish(_ number: Int, to topic: Topic, of hub: Hub) async throws -> String {
        try await hub.publish(Event(topic: topic, data: "\(number)", key: StateTopic<Int>.key))
    }

    /// Publishes until what was published before is removed, and the hub knows.
    private func trim(_ hub: Hub) async throws {
        for _ in 0..<5 {
            let id = try await hub.publish("filler", to: "other")
            _ = try await hub.end(covering: Position(id))
        }
    }

    @Test("The last value that was set is the state")
    func whatWasSetLast() async throws {
        try await quickHub().whileRunning { hub in
            let status = StateTopic<Int>("status", of: hub)
            #expect(try await status.current() == nil)
            for number in 1...3 {
                let id = try await status.set(number)
                let current = try await status.current()
                #expect(current?.value == number && current?.id == id)
            }
            try await publish(4, to: "status", of: hub)
            let id = try await publish(5, to: "status", of: hub)
            _ = try await hub.end(covering: Position(id))
            #expect(try await status.current()?.value == 5)
            let other = try await StateTopic<Int>("status", of: hub).current()
            #expect(other?.value == 5 && other?.id == id)
        }
    }

    @Test("A late reader receives the current value, and then each newer one")
    func whoComesLateIsGiven() async throws {
        try await quickHub().whileRunning { hub in
            let status = StateTopic<Int>("status", of: hub)
            for number in 1...3 { try await status.set(number) }
            var updates = status.updates.makeAsyncIterator()
            #expect(try await updates.next()?.value == 3)
            for number in 4...6 { try await publish(number, to: "status", of: hub) }
            for number in 4...6 { #expect(try await updates.next()?.value == number) }
            let empty = StateTopic<Int>("empty", of: hub)
            async let first = empty.updates.first(1)
            try await publish(7, to: "empty", of: hub)
            #expect(try await first.map(\.value) == [7])
        }
    }

    @Test("Updates end when the hub stops")
    func updatesEndWhenTheHub() async throws {
        let hub = quickHub()
        var updates = StateTopic<Int>("status", of: hub).updates.makeAsyncIterator()
        try await hub.whileRunning { hub in
            try await publish(1, to: "status", of: hub)
            #expect(try await updates.next()?.value == 1)
        }
        #expect(try await updates.next() == nil)
        await #expect(throws: MartletError.self) { try await StateTopic<Int>("status", of: hub).current() }
    }

    @Test("The state is at hand, and no history is read for it")
    func noHistoryIsRead() async throws {
        let log = ScriptedLog()
        try await hub(log).whileRunning { hub in
            var last = ""
            for number in 0..<1000 { last = try await publish(number, to: "status", of: hub) }
            _ = try await hub.end(covering: Position(last))
            let before = log.reads
            let status = StateTopic<Int>("status", of: hub)
            try await withThrowingTaskGroup(of: Int?.self) { group in
                for _ in 0..<50 { group.addTask { try await status.current()?.value } }
                for try await value in group { #expect(value == 999) }
            }
            try await status.set(1000)
            #expect(try await status.current()?.value == 1000)
            #expect(log.reads == before)
        }
    }

    @Test("The value stays after its event was removed from history, also for new readers")
    func valueOutlivesHistory() async throws {
        try await quickHub(retention: Retention(events: 2)).whileRunning { hub in
            let (setter, reader, watcher) = (
                StateTopic<Int>("status", of: hub), StateTopic<Int>("status", of: hub),
                StateTopic<Int>("status", of: hub)
            )
            var updates = watcher.updates.makeAsyncIterator()
            try await setter.set(1)
            #expect(try await updates.next()?.value == 1)
            let id = try await setter.set(2)
            #expect(try await updates.next()?.value == 2)
            #expect(try await reader.current()?.value == 2)
            try await trim(hub)
            for known in [setter, reader, watcher, StateTopic<Int>("status", of: hub)] {
                let current = try await known.current()
                #expect(current?.value == 2 && current?.id == id)
            }
            #expect(try await setter.updates.first(1).map(\.value) == [2])
            try await setter.set(3)
            #expect(try await updates.next()?.value == 3)
        }
    }

    @Test("Events without the key are no state, and a value that was removed is none")
    func otherEvents() async throws {
        try await quickHub().whileRunning { hub in
            let status = StateTopic<Int>("status", of: hub)
            try await hub.publish(Event(topic: "status", data: "no value"))
            try await hub.publish(Event(topic: "status", data: "no value", key: "other"))
            #expect(try await status.current() == nil)
            try await status.set(1)
            var updates = status.updates.makeAsyncIterator()
            #expect(try await updates.next()?.value == 1)
            try await hub.publish(Event(topic: "status", data: "no value"))
            let id = try await hub.publish(Event(topic: "status", data: "", key: "state"))
            _ = try await hub.end(covering: Position(id))
            #expect(try await status.current() == nil)
            try await status.set(2)
            #expect(try await updates.next()?.value == 2)
        }
    }

    @Test("A reader that is too slow goes on with the current value")
    func readerThatIsTooSlow() async throws {
        let hub = quickHub(retention: Retention(events: 2)) { $0.windowBytes = 1 }
        try await hub.whileRunning { hub in
            let status = StateTopic<Int>("status", of: hub)
            try await status.set(1)
            var updates = status.updates.makeAsyncIterator()
            #expect(try await updates.next()?.value == 1)
            for number in 2...9 {
                let id = try await status.set(number)
                _ = try await hub.end(covering: Position(id))
            }
            #expect(try await updates.next()?.value == 9)
            try await status.set(10)
            #expect(try await updates.next()?.value == 10)
        }
    }

    @Test("A state that is not a value is an error until another value is set")
    func whatIsNoSuchValue() async throws {
        try await quickHub().whileRunning { hub in
            let status = StateTopic<Int>("status", of: hub)
            let id = try await hub.publish(Event(topic: "status", data: "\"secret\"", key: "state"))
            _ = try await hub.end(covering: Position(id))
            for _ in 0..<2 {
                await #expect {
                    try await status.current()
                } throws: {
                    let error = $0 as? EventValueError
                    return error?.code == .notDecodable && error?.id == id && error?.message.contains("secret") == false
                }
            }
            await #expect(throws: EventValueError.self) { try await status.updates.first(1) }
            try await status.set(2)
            #expect(try await status.current()?.value == 2)
            await #expect(throws: EventValueError.self) {
                try await StateTopic<Double>("status", of: hub).set(.nan)
            }
            #expect(try await status.current()?.value == 2)
        }
    }

    @Test("A look that is cancelled leaves the next to others")
    func lookThatIsCancelledLeaves() async throws {
        try await quickHub().whileRunning { hub in
            let status = StateTopic<Int>("status", of: hub)
            let looks = (0..<20).map { _ in Task { try await status.current() } }
            for look in looks { look.cancel() }
            for look in looks { _ = await look.result }
            try await publish(1, to: "status", of: hub)
            #expect(try await status.updates.first(1).map(\.value) == [1])
        }
    }

    @Test("Values that are set at the same time are seen in the order of the log, on every node", arguments: 1...3)
    func valuesThatAreSet(seed: UInt64)
        async throws
    {
        var random = SeededGenerator(seed: seed)
        let store = VectorLog.Store()
        let single = hub(MemoryLog())
        let nodes = [hub(VectorLog(store)), hub(VectorLog(store, readsFirst: .second))]
        let delays = (0..<12).map { _ in Int.random(in: 0..<60, using: &random) }
        try await single.whileRunning { single in
            try await nodes[0].whileRunning { first in
                try await nodes[1].whileRunning { second in
                    try await check([single], delays: delays)
                    try await check([first, second], delays: delays)
                }
            }
        }
    }

    /// Sets and watches from everywhere at the same time.
    private func check(_ hubs: [Hub], delays: [Int]) async throws {
        let topics = hubs.map { StateTopic<Int>("status", of: $0) }
        let last = 1_000_000
        try await withThrowingTaskGroup(of: [Int].self) { group in
            for (number, delay) in delays.enumerated() {
                let topic = topics[number % topics.count]
                group.addTask {
                    for _ in 0..<delay { await Task.yield() }
                    var values: [Int] = []
                    for try await update in topic.updates {
                        values.append(update.value)
                        if update.value == last { break }
                    }
                    return values
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { setters in
                for setter in 0..<4 {
                    let topic = topics[setter % topics.count]
                    let other = hubs[setter % hubs.count]
                    setters.addTask {
                        for number in 0..<50 {
                            let id = try await topic.set(setter * 1000 + number)
                            try await other.publish("\(number)", to: "others")
                            let current = try await topic.current()
                            // Its own value or a newer one, which is not of before.
                            if let value = current?.value, value / 1000 == setter {
                                #expect(value % 1000 >= number, "\(id)")
                            }
                        }
                    }
                }
                try await setters.waitForAll()
            }
            try await topics[0].set(last)
            let all = try await hubs[0].log.texts(.of("status")).compactMap(Int.init)
            for try await values in group {
                #expect(values == all.suffix(values.count))
            }
            for topic in topics {
                #expect(try await topic.updates.first(1).map(\.value) == [last])
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletTesting
import TestSupport
import Testing

@testable import Martlet

@Suite struct HubTests {
    @Test("A closure reads what is published while it runs")
    func closureReadsWhatIsPublished() async throws {
        try await withHub { hub in
            try await hub.subscribe(to: "orders/42") { events in
                let id = try await hub.publish("shipped", to: "orders/42")
                try await hub.publish("other", to: "orders/43")
                try await hub.publish(Event(topic: "orders/42", data: "delivered", id: "own", type: "end"))
                var iterator = events.makeAsyncIterator()
                let first = try await iterator.next()
                #expect(first?.data == "shipped")
                #expect(first?.id == id)
                let second = try await iterator.next()
                #expect(second?.topic == "orders/42")
                #expect(second?.type == "end")
                #expect(second?.id == "own")
            }
            #expect(hub.feedCount == 0)
        }
    }

    @Test("Subscriptions to the same topics share a feed, which goes with the last")
    func subscriptionsToTheSameTopics() async throws {
        try await withHub { hub in
            try await hub.subscribe(to: "a", "b") { _ in
                try await hub.subscribe(to: "b", "a") { _ in #expect(hub.feedCount == 1) }
                try await hub.subscribe(to: "a") { _ in #expect(hub.feedCount == 2) }
                #expect(hub.feedCount == 1)
            }
            #expect(hub.feedCount == 0)
        }
    }

    @Test("Resuming after any event gives exactly the rest, from any kind of log", arguments: 1...3)
    func resumingAfterAnyEventGives(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let logs: [any Log] = [MemoryLog(), VectorLog(VectorLog.Store(), readsFirst: .second)]
        for log in logs {
            let windowBytes = Int.random(in: 500...20_000, using: &random)
            try await withHub(log: log, windowBytes: windowBytes) { [random] hub in
                var random = random
                let topics: [Topic] = ["a", "b", "c", "d"]
                var published: [String] = []
                for number in 0..<300 {
                    let topic = topics.randomElement(using: &random)!
                    try await hub.publish("\(topic) \(number)", to: topic)
                    published.append("\(topic) \(number)")
                }
                let all = try await read(300, from: hub, to: Set(topics), after: "earliest")
                #expect(Set(all.map(\.data)) == Set(published))
                for _ in 0..<60 {
                    let cut = Int.random(in: 0..<299, using: &random)
                    let rest = try await read(299 - cut, from: hub, to: Set(topics), after: all[cut].id)
                    let seen = all[...cut].map(\.data)
                    #expect(Set(rest.map(\.data)) == Set(published).subtracting(seen), "seed \(seed), cut \(cut)")
                    for topic in topics {
                        let own = rest.map(\.data).filter { $0.hasPrefix(topic.name) }
                        #expect(own == published.filter { $0.hasPrefix(topic.name) && !seen.contains($0) })
                    }
                }
            }
        }
    }

    @Test("Private events reach who may see them")
    func privateEventsReachWhoMay() async throws {
        try await withHub { hub in
            try await hub.subscribe(to: "a", includesPrivate: true) { events in
                try await hub.publish(Event(topic: "a", data: "secret", isPrivate: true))
                var iterator = events.makeAsyncIterator()
                #expect(try await iterator.next()?.data == "secret")
            }
        }
    }

    @Test("A client learns of a gap before the events that follow it")
    func whatAClientMissed() async throws {
        let log = MemoryLog(retention: Retention(events: 3))
        try await withHub(log: log) { hub in
            let ids = try await hub.publish(numbers: 0..<10, to: "a")
            let read = try await read(4, from: hub, to: ["a"], after: ids[0])
            #expect(read[0].type == "gap")
            #expect(read[0].data.hasPrefix(#"{"reason":"trimmed""#))
            #expect(read[1...].map(\.data) == ["7", "8", "9"])
        }
    }

    @Test("A reader that is slower than history keeps is told where it is behind")
    func readerThatIsSlower() async throws {
        let log = MemoryLog(retention: Retention(events: 10))
        try await withHub(log: log, windowBytes: 1) { hub in
            try await hub.subscribe(to: "a") { events in
                try await hub.publish(numbers: 0..<100, to: "a")
                var iterator = events.makeAsyncIterator()
                #expect(try await iterator.next()?.type == "gap")
                for number in 90..<100 { #expect(try await iterator.next()?.data == "\(number)") }
            }
        }
    }

    @Test("Refused events and subscriptions say what is wrong")
    func refusedEventsAndSubscriptionsSay() async throws {
        try await withHub { hub in
            await #expect { try await hub.publish(Event(topic: "a", data: "", id: "a\nb")) } throws: {
                ($0 as? MartletError)?.code == .invalidID && ($0 as? MartletError)?.field == "id"
            }
            let topics = try (0...1000).map { try Topic("t\($0)") }
            await #expect { try await hub.subscribe(to: Selection(topics: Set(topics)), after: nil) } throws: {
                ($0 as? MartletError)?.code == .invalidSubscription
            }
            #expect(hub.feedCount == 0)
        }
    }

    @Test("An id of what a client does not select is unknown to it")
    func idOfWhatAClient() async throws {
        try await withHub { hub in
            try await hub.publish(contentsOf: [
                Event(topic: "a", data: "1", id: "shared"), Event(topic: "b", data: "2", id: "shared"),
                Event(topic: "b", data: "secret", id: "hidden", isPrivate: true), Event(topic: "b", data: "3"),
            ])
            #expect(try await read(1, from: hub, to: ["b"], after: "shared")[0].data == "3")
            #expect(try await read(1, from: hub, to: ["b"], after: "hidden")[0].type == "gap")
            #expect(try await read(1, from: hub, to: ["c", "a"], after: "never")[0].type == "gap")
        }
    }

    @Test("A batch with one bad event publishes nothing")
    func batchWithOneBadEvent() async throws {
        try await withHub { hub in
            try await hub.subscribe(to: "a") { events in
                _ = try? await hub.publish(contentsOf: [
                    Event(topic: "a", data: "good"), Event(topic: "a", data: "bad", retry: -1),
                ])
                try await hub.publish("after", to: "a")
                var iterator = events.makeAsyncIterator()
                #expect(try await iterator.next()?.data == "after")
            }
        }
    }

    @Test("Events end when the hub stops, and a stopped hub says so")
    func eventsEndWhenTheHub() async throws {
        let hub = Hub(logger: quiet)
        let running = Task { try await hub.run() }
        try await hub.subscribe(to: "a") { events in
            running.cancel()
            for try await _ in events { Issue.record("Nothing was published.") }
        }
        _ = await running.result
        await #expect { try await hub.publish("late", to: "a") } throws: {
            ($0 as? MartletError)?.code == .notRunning
        }
    }

    @Test("A reader that is cancelled leaves nothing behind")
    func readerThatIsCancelledLeaves() async throws {
        try await withHub { hub in
            let reader = Task {
                try await hub.subscribe(to: "a") { events in for try await _ in events {} }
            }
            try await until { hub.feedCount > 0 }
            reader.cancel()
            await #expect(throws: CancellationError.self) { try await reader.value }
            #expect(hub.feedCount == 0)
        }
    }
}

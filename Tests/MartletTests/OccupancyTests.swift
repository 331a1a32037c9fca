// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import Martlet

@Suite("Which topics have subscribers", .timeLimit(.minutes(2))) struct OccupancyTests {
    private func change(_ topic: Topic, _ isOccupied: Bool) -> OccupancyChange {
        OccupancyChange(TopicSelector(topic), isOccupied: isOccupied)
    }

    private func open(_ hub: Hub, _ selectors: Set<TopicSelector>) async throws -> Subscription {
        try await hub.subscribe(to: Selection(selectors: selectors), after: nil)
    }

    @Test("The first subscriber of a topic occupies it, and the last that leaves vacates it")
    func firstAndLast() async throws {
        try await quickHub().whileRunning { hub in
            let watch = hub.occupancy(of: [.every]).watch
            var first: Subscription? = try await open(hub, ["a"])
            #expect(watch.take() == change("a", true))
            // With another topic, the second subscriber has another feed.
            var second: Subscription? = try await open(hub, ["a", "b"])
            #expect(watch.take() == change("b", true))
            #expect(watch.take() == nil)
            first = nil
            #expect(watch.take() == nil)
            second = nil
            #expect(Set([watch.take(), watch.take()]) == [change("a", false), change("b", false)])
            #expect(watch.take() == nil)
            _ = (first, second)
        }
    }

    @Test("Only the topics that are asked for are followed, and patterns only with * or their own text")
    func others() async throws {
        try await quickHub().whileRunning { hub in
            let some = hub.occupancy(of: ["a/{id}"]).watch
            let all = hub.occupancy(of: [.every]).watch
            let subscriptions = [
                try await open(hub, ["a/1"]), try await open(hub, ["b/1"]), try await open(hub, ["a/{id}"]),
                try await open(hub, ["a/{other}"]), try await open(hub, [.every]),
            ]
            #expect(some.take() == change("a/1", true))
            #expect(some.take() == OccupancyChange("a/{id}", isOccupied: true))
            #expect(some.take() == nil)
            var found: Set<String> = []
            while let change = all.take() { found.insert(change.selector.text) }
            #expect(found == ["a/1", "b/1", "a/{id}", "a/{other}", "*"])
            withExtendedLifetime(subscriptions) {}
        }
    }

    @Test("What is occupied before is reported, however many feeds there are")
    func present() async throws {
        try await quickHub().whileRunning { hub in
            var subscriptions: [Subscription] = []
            for number in 0..<600 { subscriptions.append(try await open(hub, [TopicSelector("t/\(number)")])) }
            // Places of feeds that are gone are passed over.
            subscriptions.removeSubrange(10..<590)
            let watch = hub.occupancy(of: [.every]).watch
            var count = 0
            while watch.take()?.isOccupied == true { count += 1 }
            #expect(count == 20)
            subscriptions = []
            while watch.take()?.isOccupied == false { count -= 1 }
            #expect(count == 0)
        }
    }

    @Test("A slow reader gets the last state of a topic, and nothing if that is what it knows")
    func slowReader() async throws {
        try await quickHub().whileRunning { hub in
            let watch = hub.occupancy(of: [.every]).watch
            for _ in 0..<3 { _ = try await open(hub, ["a"]) }
            let stays = try await open(hub, ["b"])
            #expect(watch.take() == change("b", true))
            #expect(watch.take() == nil)
            withExtendedLifetime(stays) {}
        }
    }

    @Test("Up to the limit topics are followed; one more is counted, and followed when there is room again")
    func limit() async throws {
        try await quickHub().whileRunning { hub in
            let occupancy = hub.occupancy(of: [.every], limit: 2)
            let stays = try await open(hub, ["a"])
            var leaves: Subscription? = try await open(hub, ["b"])
            #expect(occupancy.omitted == 0)
            var third: Subscription? = try await open(hub, ["c"])
            #expect(occupancy.omitted == 1)
            #expect([occupancy.watch.take(), occupancy.watch.take()] == [change("a", true), change("b", true)])
            leaves = nil
            #expect(occupancy.watch.take() == change("b", false))
            // It was never followed, so nothing is to be said.
            third = nil
            #expect(occupancy.watch.take() == nil)
            third = try await open(hub, ["c"])
            #expect(occupancy.watch.take() == change("c", true))
            withExtendedLifetime((stays, leaves, third)) {}
        }
    }

    @Test("Changes are a sequence, which ends when the hub stops")
    func sequence() async throws {
        let hub = quickHub()
        let occupancy = hub.occupancy(of: ["a"])
        let reader = Task {
            var changes: [OccupancyChange] = []
            for await change in occupancy { changes.append(change) }
            return changes
        }
        try await hub.whileRunning { hub in
            try await hub.subscribe(to: "a") { _ in }
            try await hub.subscribe(to: "b") { _ in }
            try await until { hub.feedCount == 0 }
        }
        let changes = try await TestConnection.withPatience { await reader.value }
        // The reader may have been too slow for both.
        #expect(changes == [] || changes == [change("a", true), change("a", false)])
        var iterator = hub.occupancy(of: ["a"]).makeAsyncIterator()
        #expect(await iterator.next() == nil)
    }

    @Test("A watch that nobody keeps costs nothing", .timeLimit(.minutes(1)))
    func released() async throws {
        let hub = quickHub()
        weak var watch: OccupancyWatch?
        do {
            let occupancy = hub.occupancy(of: [.every])
            watch = occupancy.watch
            #expect(watch != nil)
        }
        #expect(watch == nil)
        _ = hub.occupancy(of: [.every])
        #expect(hub.fanOut.state.withLock { $0.watches.count } == 1)
    }
}

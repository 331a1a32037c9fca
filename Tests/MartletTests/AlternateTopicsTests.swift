// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Martlet

@Suite struct AlternateTopicsTests {
    @Test("An event of several topics reaches each subscriber of any of them once")
    func eventOfSeveralTopicsReaches() async throws {
        let event = Event(topic: "a", alternates: ["b", "c", "b"], data: "all")
        for topics in [["a"], ["b"], ["c"], ["b", "a", "c"]] as [Set<Topic>] {
            #expect(Selection(topics: topics).contains(event))
        }
        #expect(!Selection(topics: ["d"]).contains(event))
        try await withHub { hub in
            try await hub.subscribe(to: "a", "c") { events in
                try await hub.publish(Event(topic: "a", alternates: ["b", "c"], data: "one"))
                try await hub.publish("two", to: "c")
                var iterator = events.makeAsyncIterator()
                let delivery = try await iterator.next()
                #expect(delivery?.data == "one")
                #expect(delivery?.topic == "a")
                #expect(try await iterator.next()?.data == "two")
            }
        }
    }

    @Test("A private event needs a right to any of its topics, which may be another than the one asked for")
    func privateEventNeedsARight() {
        let event = Event(topic: "a", alternates: ["b"], data: "", isPrivate: true)
        func receives(_ asked: String, _ granted: String...) -> Bool {
            Selection(selectors: [TopicSelector(asked)], grants: Set(granted.map { TopicSelector($0) })).contains(event)
        }
        #expect(receives("a", "a"))
        #expect(receives("a", "b"))
        #expect(receives("b", "a"))
        #expect(receives("*", "{x}"))
        #expect(!receives("a"))
        #expect(!receives("a", "c"))
        #expect(!receives("c", "a"))
    }

    @Test("A client with a right to another topic of a private event receives it live")
    func whoHasARight() async throws {
        try await withHub { hub in
            let granted = try await hub.subscribe(to: Selection(selectors: ["a"], grants: ["b"]), after: nil)
            let other = try await hub.subscribe(to: Selection(selectors: ["a"], grants: ["c"]), after: nil)
            try await hub.publish(Event(topic: "a", alternates: ["b"], data: "secret", isPrivate: true))
            try await hub.publish("public", to: "a")
            var (first, second) = (Events(granted).makeAsyncIterator(), Events(other).makeAsyncIterator())
            #expect(try await first.next()?.data == "secret")
            #expect(try await second.next()?.data == "public")
        }
    }

    @Test("As many topics as the limit are accepted, one more is refused")
    func asManyTopics() throws {
        var limits = Limits()
        limits.topicsPerEvent = 3
        try limits.check(Event(topic: "a", alternates: ["b", "c"], data: ""))
        let error = #expect(throws: MartletError.self) {
            try limits.check(Event(topic: "a", alternates: ["b", "c", "d"], data: ""))
        }
        #expect(error?.code == .invalidTopic)
        limits.topicBytes = 2
        #expect(throws: MartletError.self) { try limits.check(Event(topic: "a", alternates: ["abc"], data: "")) }
    }

    @Test("Alternates count for the size of an event")
    func alternatesCountForTheSize() {
        let one = Event(topic: "a", data: "").byteCount
        let two = Event(topic: "a", alternates: ["bcd"], data: "").byteCount
        #expect(two - one == 3 + Event.alternateOverheadBytes)
    }

    @Test("A removed event is missing in all its topics")
    func whatWasRemovedIsMissing() {
        var trimmed = TrimmedTopics(capacity: 16)
        trimmed.insert(Event(topic: "a", alternates: ["b"], data: ""), at: 5)
        trimmed.insert(Event(topic: "c", alternates: ["d"], data: "", isPrivate: true), at: 7)
        for topic in ["a", "b"] as [Topic] {
            #expect(trimmed.contains(Selection(topics: [topic]), after: 4))
            #expect(!trimmed.contains(Selection(topics: [topic]), after: 5))
        }
        #expect(trimmed.contains(Selection(selectors: ["d"], grants: ["c"]), after: 6))
        #expect(!trimmed.contains(Selection(selectors: ["d"], grants: ["c"]), after: 7))
        #expect(trimmed.contains(Selection(selectors: ["{x}"], grants: ["c"]), after: 6))
    }
}

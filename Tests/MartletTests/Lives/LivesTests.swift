// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import TestSupport
import Testing

@testable import Martlet

@Suite("Topics that end, expire and are purged", .timeLimit(.minutes(10)))
struct LivesTests {
    private func deliveries(of hub: Hub, _ selection: Selection, after id: String?) async throws -> [Delivery] {
        try await TestConnection.withPatience {
            var deliveries: [Delivery] = []
            for try await delivery in Events(try await hub.subscribe(to: selection, after: id)) {
                deliveries.append(delivery)
            }
            return deliveries
        }
    }

    @Test(
        "A subscription of topics that end receives everything, an end of each, and ends itself",
        arguments: [1, 1 << 20])
    func ends(windowBytes: Int) async throws {
        let logs: [any Log] = [MemoryLog(), VectorLog()]
        for log in logs {
            try await withHub(log: log, windowBytes: windowBytes) { hub in
                try await hub.subscribe(to: "a", "b") { events in
                    try await hub.publish("1", to: "a")
                    let end = try await hub.close("a")
                    #expect(try await hub.close("a") == end)
                    await #expect(throws: MartletError.self) { try await hub.publish("2", to: "a") }
                    try await hub.publish("3", to: "b")
                    try await hub.publish(contentsOf: [Event(topic: "b", data: "4"), .end(of: "b")])
                    var read: [Delivery] = []
                    for try await event in events { read.append(event) }
                    #expect(read.map(\.type).filter { $0 == "end" }.count == 2)
                    #expect(read.filter { $0.topic == "a" }.map(\.type) == [nil, "end"])
                    #expect(read.filter { $0.topic == "b" }.map(\.data).prefix(2) == ["3", "4"])
                    #expect(read.contains { $0.data.hasPrefix(#"{"topic":"b","reason":"closed","lastEventID":""#) })
                }
                #expect(try await deliveries(of: hub, Selection(topics: ["b"]), after: "earliest").count == 3)
                let over = try await hub.subscribe(to: Selection(topics: ["a", "b"]), after: hub.end.text)
                #expect(over.isOver)
                let behind = try await hub.subscribe(to: Selection(topics: ["a", "b"]), after: "earliest")
                #expect(!behind.isOver)
                let open = try await hub.subscribe(to: Selection(topics: ["a", "c"]), after: hub.end.text)
                #expect(!open.isOver)
                let pattern = try await hub.subscribe(to: Selection(selectors: ["{x}"]), after: hub.end.text)
                #expect(!pattern.isOver)
            }
        }
    }

    @Test("A subscription in this process goes on with its other topics where one had ended before")
    func endedBefore() async throws {
        try await withHub { hub in
            let end = try await hub.close("a")
            try await until { hub.end.text == end }
            try await hub.subscribe(to: "a", "b") { events in
                try await hub.publish("1", to: "b")
                try await hub.close("b")
                var read: [Delivery] = []
                for try await event in events { read.append(event) }
                #expect(read.map(\.type) == ["end", nil, "end"])
            }
        }
    }

    @Test("A publish with a time to live can be repeated with its key")
    func repeatedExpiry() async throws {
        try await withHub { hub in
            var event = Event(topic: "a", data: "1")
            event.expires = .now + .seconds(60)
            event.topicExpires = .now + .seconds(60)
            let first = try await hub.publish(contentsOf: [event], once: "key")
            event.expires = .now + .seconds(61)
            event.topicExpires = .now + .seconds(61)
            #expect(try await hub.publish(contentsOf: [event], once: "key") == first)
        }
    }

    @Test("Another hub on the same log knows which topics have ended, and the values of their keys")
    func restart() async throws {
        let log = VectorLog()
        try await withHub(log: log) { hub in
            try await hub.publish(Event(topic: "a", data: "value", key: "k"))
            try await hub.close("a")
        }
        try await withHub(log: log) { hub in
            await #expect(throws: MartletError.self) { try await hub.publish("2", to: "a") }
            let subscription = try await hub.subscribe(to: Selection(topics: ["a"]), after: nil, withValues: true)
            guard case .values(let values, _, let ends) = hub.fanOut.step(subscription.feed, subscription.start) else {
                Issue.record("no values")
                return
            }
            #expect(values.map(\.frame.record.event.data) == ["value"])
            #expect(ends.map(\.event.topic) == ["a"])
        }
    }

    @Test("An event that has expired is neither replayed nor a value, and others are")
    func expiredEvents() async throws {
        try await withHub { hub in
            for (number, expires) in [WallTime.now, .now + .seconds(3600)].enumerated() {
                var event = Event(topic: "a", data: "\(number)", key: "\(number)")
                event.expires = expires
                try await hub.publish(event)
            }
            try await hub.close("a")
            let read = try await deliveries(of: hub, Selection(topics: ["a"]), after: "earliest")
            #expect(read.map(\.data).first == "1")
            #expect(read.count == 2)
            let end = hub.fanOut.tail.sequence
            let values = hub.fanOut.values(
                of: Selection(topics: ["a"]), after: .zero, through: end, limit: SliceLimit())
            #expect(values.values.map(\.frame.record.event.data) == ["1"])
        }
    }

    @Test("What was purged is gone, subscribers hear of it, and only clients that missed something get a gap")
    func purge() async throws {
        try await withHub { hub in
            let other = try await hub.publish("other", to: "b")
            try await hub.publish(Event(topic: "a", data: "1", key: "k"))
            try await hub.subscribe(to: "a") { events in
                let purge = try await hub.purge("a")
                try await hub.publish("2", to: "a")
                try await hub.close("a")
                var read: [Delivery] = []
                for try await event in events { read.append(event) }
                #expect(read.map(\.type) == ["gap", nil, "end"])
                #expect(read.first?.data == #"{"reason":"purged","from":"\#(purge)"}"#)
                let replayed = try await deliveries(of: hub, Selection(topics: ["a"]), after: "earliest")
                #expect(replayed.compactMap(\.topic).count == 2)
                for (topic, id, gap) in [("a", other, Gap.Reason.expired), ("b", other, nil), ("a", purge, nil)] {
                    let subscription = try await hub.subscribe(to: Selection(topics: [Topic(topic)]), after: id)
                    #expect(subscription.gap?.reason == gap, "\(topic) \(id)")
                }
                let pattern = try await hub.subscribe(to: Selection(selectors: ["{x}"]), after: other)
                #expect(pattern.gap?.reason == .expired)
            }
            #expect(
                hub.fanOut.values(
                    of: Selection(topics: ["a"]), after: .zero, through: hub.fanOut.tail.sequence, limit: SliceLimit()
                ).values.isEmpty)
        }
    }

    @Test("A topic that has expired is gone with its end, and begins again with the next event")
    func expiredTopics() async throws {
        try await withHub { hub in
            let id = try await hub.publish(Event(topic: "a", data: "older", key: "k"))
            try await hub.publish("old", to: "a")
            var end = Event.end(of: "a")
            end.topicExpires = .now
            try await hub.publish(end)
            try await hub.publish("new", to: "a")
            try await until { hub.fanOut.tail.position.text.hasSuffix("-4") }
            #expect(try await hub.subscribe(to: Selection(topics: ["a"]), after: id).gap?.reason == .expired)
            try await hub.close("a")
            let read = try await deliveries(of: hub, Selection(topics: ["a"]), after: "earliest")
            #expect(read.filter { $0.topic != nil }.map(\.type) == [nil, "end"])
            #expect(read.contains { $0.data == "new" })
        }
    }

    @Test("Of more topics than are remembered, those that have changed least recently are open again")
    func bounds() throws {
        var book = TopicBook(capacity: 3)
        for number in 0..<1000 {
            book.note(.end(of: try Topic("t\(number)")), at: .at(UInt64(number)))
            #expect(book.count == min(3, number + 1))
        }
        #expect(book.all.map(\.topic.name) == ["t997", "t998", "t999"])
        #expect(book.forgotten == 997)
        #expect(throws: Never.self) { try book.check([Event(topic: "t996", data: "")]) }
        #expect(throws: MartletError.self) { try book.check([Event(topic: "t997", data: "")]) }
    }
}

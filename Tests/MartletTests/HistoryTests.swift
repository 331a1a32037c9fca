// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import TestSupport
import Testing

@testable import Martlet

@Suite struct HistoryTests {
    @Test("The pages of history have every event that the reader may see once", arguments: 0..<12)
    func pagesOfHistory(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let log: any Log = round % 2 == 0 ? MemoryLog() : VectorLog(VectorLog.Store(), readsFirst: .first)
        let base = HubConfiguration.with { $0.chooseReplays(using: &random) }
        try await withHub(log: log, base: base) { [random] hub in
            var random = random
            let names: [Topic] = ["a", "b", "c"]
            func topic() -> Topic { names[Int.random(in: 0..<3, using: &random)] }
            func publish(_ numbers: Range<Int>) async throws -> [Event] {
                var events: [Event] = []
                for number in numbers {
                    let main = topic()
                    let alternates = Int.random(in: 0..<4, using: &random) == 0 ? [topic()].filter { $0 != main } : []
                    events.append(
                        Event(
                            topic: main, alternates: alternates, data: "\(number)",
                            isPrivate: Int.random(in: 0..<5, using: &random) == 0))
                }
                try await hub.publish(contentsOf: events)
                return events
            }
            var published = try await publish(0..<60)
            let selections = [
                Selection(topics: ["a"]), Selection(topics: ["a", "b"], includesPrivate: true),
                Selection(selectors: [.every], grants: [TopicSelector("b" as Topic)]),
                Selection(selectors: [TopicSelector("a" as Topic), TopicSelector("c" as Topic)], grants: [.every]),
            ]
            for selection in selections {
                var (read, id) = ([] as [String], nil as String?)
                while true {
                    let limit = Int.random(in: 1...20, using: &random)
                    let page = try await hub.history(of: selection, after: id, limit: limit)
                    #expect(page.items.count <= limit)
                    #expect(page.gap == nil, "seed \(seed)")
                    for item in page.items {
                        #expect(selection.selects(item.topic), "seed \(seed)")
                        #expect(!item.event.isPrivate || selection.maySeePrivate(item.topic), "seed \(seed)")
                    }
                    read += page.items.map(\.event.data)
                    // From any of its ids, a reader goes on behind that event.
                    id = Bool.random(using: &random) ? page.items.last?.id ?? page.end.text : page.end.text
                    if page.hasMore {
                        #expect(!page.items.isEmpty)
                    } else if published.count < 100 {
                        published += try await publish(published.count..<published.count + 20)
                    } else {
                        break
                    }
                }
                let expected = published.filter { selection.contains($0) }.map(\.data)
                // A vector log has an order for each topic.
                #expect(Set(read).count == read.count, "seed \(seed)")
                #expect(read.sorted() == expected.sorted(), "seed \(seed)")
                if round % 2 == 0 { #expect(read == expected, "seed \(seed)") }
            }
        }
    }

    @Test("A page ends before it has more bytes than a slice")
    func pageEndsBefore() async throws {
        let base = HubConfiguration.with { $0.slice = SliceLimit(events: 256, bytes: 10_000) }
        try await withHub(base: base) { hub in
            let data = String(repeating: "x", count: 3000)
            for _ in 0..<10 { try await hub.publish(data, to: "a") }
            var (counts, id) = ([] as [Int], nil as String?)
            while true {
                let page = try await hub.history(of: Selection(topics: ["a"]), after: id, limit: 1000)
                counts.append(page.items.count)
                id = page.end.text
                guard page.hasMore else { break }
            }
            #expect(counts == [3, 3, 3, 1])
        }
    }

    @Test("Events that have expired or were purged are in no page")
    func eventsThatHaveExpired() async throws {
        try await withHub { hub in
            let selection = Selection(topics: ["a", "b"])
            var brief = Event(topic: "a", data: "brief")
            brief.expires = .now
            let first = try await hub.publish(contentsOf: [
                brief, Event(topic: "a", data: "a"), Event(topic: "b", data: "b"),
            ])
            let page = try await hub.history(of: selection, after: nil, limit: 10)
            #expect(page.items.map(\.event.data) == ["a", "b"])
            try await hub.close("a")
            // Also of a topic that has ended.
            try await hub.purge("a")
            let rest = try await hub.history(of: selection, after: nil, limit: 10)
            #expect(rest.items.map(\.event.data) == ["b"])
            #expect(rest.gap == nil)
            #expect(rest.ended.topics == ["a"] && !rest.ended.areAll)
            let resumed = try await hub.history(of: selection, after: first[0], limit: 10)
            #expect(resumed.gap == .expired)
            #expect(try await hub.history(of: selection, after: rest.end.text, limit: 10).gap == nil)
        }
    }

    @Test("A topic that has expired has no history, until it begins again")
    func topicThatHasExpired() async throws {
        try await withHub { hub in
            var event = Event(topic: "a", data: "old", key: "k")
            event.topicExpires = .now
            try await hub.publish(event)
            await hub.settle()
            await #expect(throws: MartletError.self) {
                try await hub.history(of: Selection(topics: ["a"]), after: nil, limit: 10)
            }
            await #expect(throws: MartletError.self) { try await hub.state(of: Selection(topics: ["a"])) }
            #expect(try await hub.state(of: Selection(topics: ["a", "b"])).values.isEmpty)
            try await hub.publish("new", to: "a")
            let page = try await hub.history(of: Selection(topics: ["a"]), after: nil, limit: 10)
            #expect(page.items.map(\.event.data) == ["new"])
        }
    }

    @Test("A reader that waits has the next event as soon as it is there")
    func readerThatWaits() async throws {
        try await withHub { hub in
            let selection = Selection(topics: ["a"])
            let id = try await hub.publish("old", to: "a")
            let reader = Task {
                try await hub.history(of: selection, after: id, limit: 10, waiting: TestConnection.patience)
            }
            try await until { hub.feedCount == 1 }
            // Nothing that the reader may see.
            try await hub.publish(Event(topic: "a", data: "private", isPrivate: true))
            try await hub.publish("other", to: "b")
            try await hub.publish("new", to: "a")
            let page = try await reader.value
            #expect(page.items.map(\.event.data) == ["new"])
            #expect(!page.hasMore)
            try await until { hub.feedCount == 0 }
        }
    }

    @Test("A reader that waits in vain has an empty page and goes on from there")
    func readerThatWaitsInVain() async throws {
        try await withHub { hub in
            let selection = Selection(topics: ["a"])
            let start = ContinuousClock.now
            let page = try await hub.history(of: selection, after: nil, limit: 10, waiting: .milliseconds(50))
            #expect(page.items.isEmpty)
            #expect(ContinuousClock.now - start >= .milliseconds(50))
            try await hub.publish("new", to: "a")
            let next = try await hub.history(of: selection, after: page.end.text, limit: 10)
            #expect(next.items.map(\.event.data) == ["new"])
        }
    }

    @Test("A wait ends with the last topic, with the hub, and with the right to it")
    func waitEndsWith() async throws {
        try await withHub { hub in
            let patience = TestConnection.patience * 10
            func read(
                _ topic: Topic, after id: String? = nil, _ terms: LeaseTerms = LeaseTerms()
            ) -> Task<HistoryPage, any Error> {
                Task {
                    try await hub.history(
                        of: Selection(topics: [topic]), after: id, limit: 10, waiting: patience, terms: terms)
                }
            }
            let ended = read("a")
            try await until { hub.feedCount == 1 }
            try await hub.close("a")
            #expect(try await ended.value.ended.areAll)
            #expect(try await read("a").value.items.isEmpty)
            let purged = read("p", after: try await hub.publish("old", to: "p"))
            try await until { hub.feedCount == 1 }
            try await hub.publish(Event(topic: "p", data: "", isPrivate: true))
            try await hub.purge("p")
            #expect(try await purged.value.gap == .purged)
            let late = read("b", after: nil, LeaseTerms(end: .now + .milliseconds(20)))
            #expect(try await late.value.items.isEmpty)
            let revoked = read("c", after: nil, LeaseTerms(principal: "p"))
            try await until { hub.feedCount == 1 }
            try await hub.publish("other", to: "d")
            hub.revoke("p")
            await #expect(throws: MartletError.rightRevoked) { try await revoked.value }
            let cancelled = read("e")
            try await until { hub.feedCount == 1 }
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            let drained = read("f")
            try await until { hub.feedCount == 1 }
            hub.beginDrain()
            #expect(try await drained.value.items.isEmpty)
            try await until { hub.feedCount == 0 }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import TestSupport
import Testing

@testable import Martlet

@Suite("The current value of each key", .timeLimit(.minutes(10)))
struct CurrentValuesTests {
    @Test("A table has the newest value of each key, read in slices while others are published", arguments: 0..<20)
    func model(round: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let keys = Int.random(in: 1...40, using: &random)
        let topics: [Topic] = ["a", "b", "c/1", "c/2"]
        var table = StateTable(keys: round % 2 == 0 ? 1000 : keys * 2, bytes: .max)
        var model: [[String]: (number: UInt64, event: Event)] = [:]
        var number: UInt64 = 0
        func publish(_ table: inout StateTable) {
            number += 1
            let topic = topics.randomElement(using: &random)!
            let isDeleted = Int.random(in: 0..<8, using: &random) == 0
            let event = Event(
                topic: topic, alternates: Int.random(in: 0..<5, using: &random) == 0 ? ["a", "z"] : [],
                data: isDeleted ? "" : "\(number)", key: "\(Int.random(in: 0..<keys, using: &random))",
                isPrivate: Int.random(in: 0..<9, using: &random) == 0)
            table.set(Frame(Record(position: .at(number), event: event)), at: SequenceNumber(rawValue: number))
            model[[topic.name, event.key ?? ""]] = isDeleted ? nil : (number, event)
            while model.count > (round % 2 == 0 ? 1000 : keys * 2),
                let oldest = model.min(by: { $0.value.number < $1.value.number })
            {
                model[oldest.key] = nil
            }
        }
        for _ in 0..<30 {
            for _ in 0..<Int.random(in: 0...60, using: &random) { publish(&table) }
            #expect(table.count == model.count, "seed \(seed)")
            let selections = [
                Selection(topics: ["a"]), .init(topics: ["a", "z"], includesPrivate: true),
                .init(selectors: ["c/{x}", "b"]), .init(selectors: [.every], grants: ["c/{x}"]),
            ]
            let selection = selections.randomElement(using: &random)!
            let through = SequenceNumber(rawValue: number)
            let then = model
            var place = SequenceNumber.zero
            var found: [UInt64] = []
            var slices = 0
            while place < through {
                let slice = table.slice(
                    of: selection, after: place, through: through,
                    limit: SliceLimit(events: Int.random(in: 1...5, using: &random)), now: .now)
                #expect(slice.end > place, "seed \(seed)")
                found += slice.values.map(\.sequence.rawValue)
                place = slice.end
                slices += 1
                // Values that are replaced now come later, and values that are newer are not for this reader.
                if Bool.random(using: &random) { publish(&table) }
            }
            #expect(found == found.sorted() && Set(found).count == found.count, "seed \(seed)")
            let expected = Set(then.values.filter { selection.contains($0.event) }.map(\.number))
            #expect(Set(found).isSubset(of: expected), "seed \(seed)")
            // Missing are only values that were replaced or forgotten meanwhile.
            let still = Set(model.values.map(\.number))
            #expect(expected.subtracting(found).isDisjoint(with: still), "seed \(seed)")
        }
    }

    @Test("Values beyond the bounds go, the oldest first")
    func bounds() {
        var table = StateTable(keys: 3, bytes: 10_000)
        func set(_ number: UInt64, bytes: Int = 1) {
            let event = Event(topic: "a", data: String(repeating: "x", count: bytes), key: "\(number)")
            table.set(Frame(Record(position: .at(number), event: event)), at: SequenceNumber(rawValue: number))
        }
        for number in 1...4 as ClosedRange<UInt64> { set(number) }
        #expect(table.count == 3)
        #expect(table.forgotten == 1)
        set(5, bytes: 9_700)
        #expect(table.count == 2)
        // One value may be larger than all room.
        set(6, bytes: 20_000)
        #expect(table.count == 1)
        #expect(table.forgotten == 5)
        let values = table.slice(
            of: Selection(topics: ["a"]), after: .zero, through: SequenceNumber(rawValue: 6), limit: SliceLimit(),
            now: .now)
        #expect(values.values.map(\.sequence.rawValue) == [6])
        set(6 + 1)
        #expect(table.count == 1)
        #expect(table.byteCount < 10_000)
    }

    @Test("The values of a topic that is gone are removed some at a time, and those of others stay")
    func sweep() {
        var table = StateTable(keys: 10_000, bytes: .max)
        var number: UInt64 = 0
        func set(_ topic: Topic, key: String, alternates: [Topic] = []) {
            number += 1
            let event = Event(topic: topic, alternates: alternates, data: "x", key: key)
            table.set(Frame(Record(position: .at(number), event: event)), at: SequenceNumber(rawValue: number))
        }
        for key in 0..<1000 { set("gone", key: "\(key)") }
        for key in 0..<10 { set("other", key: "\(key)", alternates: ["gone"]) }
        table.remove("gone")
        #expect(table.count == 1010 - StateTable.mostSwept)
        set("gone", key: "1")
        set("gone", key: "999")
        for key in 0..<20 { set("third", key: "\(key)") }
        #expect(table.count == 10 + 2 + 20)
        // Nothing is left to be removed.
        for key in 0..<10 { set("gone", key: "new \(key)") }
        table.remove("missing")
        #expect(table.count == 10 + 2 + 20 + 10)
    }

    @Test("An event belongs to a topic that expires if it was accepted before that, whenever it is read")
    func expiryByTime() {
        let now = WallTime.now
        var first = Event(topic: "a", data: "1", key: "first")
        first.topicExpires = now + .seconds(-10)
        let second = Event(topic: "a", data: "2", key: "second")
        func note(_ present: inout Present, _ event: Event, _ number: UInt64, at time: WallTime) {
            present.note(Record(position: .at(number), event: event, time: time))
        }
        var present = Present()
        note(&present, first, 1, at: now + .seconds(-30))
        note(&present, second, 2, at: now + .seconds(-20))
        #expect(present.topics["a"]?.last == .at(2))
        #expect(present.topics["a"]?.goneThrough == nil)
        note(&present, Event(topic: "a", data: "3", key: "third"), 3, at: now + .seconds(-5))
        #expect(present.topics["a"]?.goneThrough == .at(2))
        #expect(present.topics["a"]?.expires == nil)
        #expect(present.values.map(\.event.data) == ["3"])
    }

    /// A client that keeps what a page would: the newest value of each key.
    private final class Page {
        let selection: Selection
        let framing: Framing
        var socket: Int32 = -1
        var token = SinkToken(index: 0, generation: .max)
        var values: [String: Int] = [:]
        var isOver = false
        private var parser = EventStreamParser()
        private var chunks = ChunkedDecoder()

        init(_ selection: Selection, framing: Framing) {
            self.selection = selection
            self.framing = framing
        }

        func connect(to hub: Hub, _ shard: SimulatedShard) async throws {
            let id = parser.lastEventID
            let subscription = try await hub.subscribe(
                to: selection, after: id.isEmpty ? nil : id, withValues: true)
            isOver = subscription.isOver && !id.isEmpty
            if subscription.beginsWithValues { values = [:] }
            parser = EventStreamParser(
                lastEventID: subscription.beginsWithValues ? "" : subscription.position.text)
            chunks = ChunkedDecoder(isChunked: framing == .chunked)
            (socket, token) = shard.open(subscription, framing: framing)
        }

        /// - Returns: Whether a key went backwards.
        func receive(from shard: SimulatedShard) throws -> Bool {
            var wentBack = false
            for case .event(let event) in try parser.parse(try chunks.decode(shard.network.takeReceived(of: socket))) {
                // The values follow.
                if event.event == "gap" { values = [:] }
                guard event.event != "end", event.event != "gap" else { continue }
                let parts = (event.data ?? "").split(separator: " ")
                guard parts.count == 2, let number = Int(parts[1]) else { continue }
                if values[String(parts[0])] ?? -1 >= number { wentBack = true }
                values[String(parts[0])] = number
            }
            return wentBack
        }
    }

    @Test(
        "Pages that open with values end with the newest of each key and never go back, however much their sockets take",
        arguments: 0..<12)
    func pages(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let windowBytes = [1, 2000, 1_000_000].randomElement(using: &random) ?? 1
        let base = HubConfiguration.with { base in
            base.chooseReplays(using: &random)
            if round % 2 == 0 { base.latestTopics = ["{x}"] }
            if round % 4 < 2 { base.skippedTopics = ["{x}"] }
        }
        let log = MemoryLog(retention: Retention(events: round % 3 == 0 ? 20 : 10_000))
        try await withHub(log: log, windowBytes: windowBytes, base: base) { [random] hub in
            var random = random
            let shard = SimulatedShard(hub, seed: seed)
            var truth: [String: Int] = [:]
            var pages: [Page] = []
            for names in [["a"], ["a"], ["a", "b"], ["b"]] as [Set<Topic>] {
                let page = Page(
                    Selection(topics: names), framing: Bool.random(using: &random) ? .chunked : .plain)
                try await page.connect(to: hub, shard)
                pages.append(page)
            }
            var number = 0
            for _ in 0..<400 {
                let page = pages[Int.random(in: 0..<pages.count, using: &random)]
                switch Int.random(in: 0..<12, using: &random) {
                case 0..<4:
                    let events = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                        number += 1
                        let topic: Topic = Bool.random(using: &random) ? "a" : "b"
                        let key = "\(topic)\(Int.random(in: 0..<6, using: &random))"
                        truth[key] = number
                        return Event(topic: topic, data: "\(key) \(number)", key: key)
                    }
                    try await hub.publish(contentsOf: events)
                case 4..<7: shard.pass()
                case 7, 8: if shard.network.unblock(page.socket) { shard.sinks.resume(page.token, now: shard.now) }
                case 9: shard.sinks.beat(now: shard.now)
                case 10: #expect(try !page.receive(from: shard), "seed \(seed)")
                default:
                    if Bool.random(using: &random) { #expect(try !page.receive(from: shard), "seed \(seed)") }
                    shard.network.breakConnection(of: page.socket)
                    if Bool.random(using: &random) { shard.sinks.receive(page.token) }
                    try await page.connect(to: hub, shard)
                }
            }
            try await hub.close("a")
            try await hub.close("b")
            shard.network.isKind = true
            for page in pages {
                let end = ContinuousClock.now + TestConnection.patience * 10
                // Until it is told that there is nothing more.
                while !page.isOver {
                    try #require(ContinuousClock.now < end, "seed \(seed)")
                    if shard.network.unblock(page.socket) { shard.sinks.resume(page.token, now: shard.now) }
                    shard.pass()
                    #expect(try !page.receive(from: shard), "seed \(seed)")
                    if shard.network.sockets[page.socket]?.isFinished == true {
                        shard.network.breakConnection(of: page.socket)
                        shard.sinks.receive(page.token)
                        try await page.connect(to: hub, shard)
                    }
                    try await Task.step()
                }
                let own = truth.filter { key, _ in
                    page.selection.contains(Event(topic: try! Topic(String(key.prefix(1))), data: ""))
                }
                #expect(page.values == own, "seed \(seed)")
            }
            for token in shard.sinks.tokens { shard.sinks.remove(token) }
            #expect(hub.streamCount == 0)
            #expect(hub.feedCount == 0)
        }
    }
}

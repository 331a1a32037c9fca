// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Martlet
import MartletSupport
import TestSupport
import Testing

@testable import MartletServiceBus

@Suite("The order of messages on nodes")
struct LocalOrderTests {
    private static let epoch = Epoch()

    private static func position(_ offset: UInt64) -> Position { epoch.position(offset) }
    private static func offset(_ position: Position) -> UInt64? { epoch.offset(of: position.text) }

    private static func name(_ publisher: UInt64, _ number: UInt64) -> NumberedName {
        NumberedName(publisher: PublisherID(bits: publisher), number: number)
    }

    /// A node that has stored messages in an order, and what a reader of it sees.
    private struct Node {
        var order = LocalOrder(end: 1, nothing: .nothing(of: "t"))
        /// The event at each offset: its message, and its number there.
        var events: [(name: NumberedName, part: Int)] = []

        mutating func store(_ name: NumberedName, events count: Int) {
            order.append(.init(first: UInt64(events.count + 1), count: count, name: .numbered(name), key: nil))
            for part in 0..<count { events.append((name, part)) }
        }

        /// What a reader at a place gets, each event with the place behind it.
        func read(after place: BusPlace) throws -> [(event: (name: NumberedName, part: Int), place: BusPlace)] {
            let course = try #require(order.course(from: place, local: LocalOrderTests.offset))
            return (course.start..<UInt64(events.count)).map { $0 + 1 }.filter(course.lacks).map { offset in
                (
                    events[Int(offset) - 1],
                    order.place(at: offset, on: course, local: LocalOrderTests.position)
                )
            }
        }
    }

    @Test("A place has one spelling, and is read as it was written")
    func spelling() throws {
        let numbered = BusPlace(
            head: .message(.numbered(Self.name(7, 1042))), part: 3,
            seen: [.init(name: Self.name(9, 1)), .init(name: Self.name(1 << 34, 55), part: 2)])
        let places = [
            numbered, BusPlace(head: .message(.foreign(.max))), BusPlace(head: .local(Self.position(7))),
            .nothing(of: "t"),
        ]
        for place in places { #expect(BusPlace(place.position.text) == place) }
        #expect(numbered.position.text == "0000007-1042.3_0000009-1_g000000-55.2")
        let others = [
            "", "earliest", "0000007", "0000007-", "0000007-01", "0000007-1.", "0000007-1.0", "0000007-1.01",
            "0000007-1_", "0000007-1_x", "000000L-1", "m", "m0", "0000007-1.1.1", "_", "0000007-9007199254740993",
            "0000007-12345678901234567890",
            "0000007-1" + String(repeating: "_0000008-1", count: 6), "k3v9x2ma-7.1",
        ]
        for text in others { #expect(BusPlace(text) == nil, "\(text)") }
    }

    @Test("A place is short enough that browsers send it back")
    func length() throws {
        let names = (1...5).map {
            NumberedName(publisher: PublisherID(bits: 1 << 34 | $0), number: NumberedName.mostNumber)
        }
        let place = BusPlace(
            head: .message(.numbered(names[0])), part: 999_999_999, seen: names.map { .init(name: $0) })
        #expect(place.position.text.utf8.count <= 128)
        #expect(BusPlace(place.position.text)?.head == place.head)
    }

    @Test("A reader of one node continues behind each event, and gets the rest in its order")
    func straight() throws {
        var node = Node()
        for number in 1...40 { node.store(Self.name(UInt64(number % 3 + 1), UInt64(number)), events: number % 4 + 1) }
        for offset in 0...UInt64(node.events.count) {
            let place = node.order.place(at: offset, local: Self.position)
            let rest = try node.read(after: try #require(BusPlace(place.position.text)))
            #expect(rest.map(\.event.name) == node.events[Int(offset)...].map(\.name))
        }
    }

    @Test("A reader that moves between nodes with other orders gets each event once", arguments: 0..<200)
    func moving(seed: Int) throws {
        var random = SeededGenerator(seed: FuzzSettings.seed &+ UInt64(seed))
        let publishers = UInt64.random(in: 2...6, using: &random)
        // What is published: each publisher numbers its own, with numbers left out.
        var published: [(name: NumberedName, events: Int)] = []
        var last: [UInt64: UInt64] = [1: 1, 2: 1]
        for _ in 0..<60 {
            let publisher = UInt64.random(in: 1...publishers, using: &random)
            last[publisher, default: 0] += UInt64.random(in: 1...2, using: &random)
            published.append((Self.name(publisher, last[publisher] ?? 0), Int.random(in: 1...3, using: &random)))
        }
        // Nodes take them in other orders, but each publisher's in its own.
        let nodes = (0..<3).map { _ in
            // Before, two have published: a place that names nobody else says nothing of those that have just begun.
            var node = Node()
            for publisher: UInt64 in 1...2 { node.store(Self.name(publisher, 1), events: 1) }
            var waiting = published
            while !waiting.isEmpty {
                let reach = Int.random(in: 1...6, using: &random)
                let index =
                    waiting.indices.prefix(reach).filter { index in
                        !waiting[..<index].contains { $0.name.publisher == waiting[index].name.publisher }
                    }.randomElement(using: &random) ?? 0
                let next = waiting.remove(at: index)
                node.store(next.name, events: next.events)
            }
            return node
        }
        var place = nodes[0].order.place(at: 2, local: Self.position)
        var seen: [String: Int] = [:]
        var log: [String] = []
        let count = published.reduce(0) { $0 + $1.events }
        while seen.values.reduce(0, +) < count {
            let number = Int.random(in: 0..<nodes.count, using: &random)
            let rest = try nodes[number].read(after: place)
            let count = min(rest.count, Int.random(in: 1...5, using: &random))
            #expect(count > 0, "node \(number) has nothing after \(place.position) \(log)")
            guard count > 0 else { return }
            for (event, next) in rest.prefix(count) {
                seen["\(event.name.text).\(event.part)", default: 0] += 1
                place = try #require(BusPlace(next.position.text))
                log.append("\(number): \(event.name.text) -> \(place.position)")
            }
            #expect(seen.values.allSatisfy { $0 == 1 }, "seed \(seed): \(log)")
            guard seen.values.allSatisfy({ $0 == 1 }) else { return }
        }
        #expect(seen.count == count)
    }

    @Test("Keys are forgotten with the first event of their message, and names far behind history")
    func trimming() throws {
        var order = LocalOrder(end: 1, nothing: .nothing(of: "t"))
        for number in 1...UInt64(LocalOrder.mostTrimmed + 10) {
            order.append(
                .init(
                    first: number * 2 - 1, count: 2, name: .numbered(Self.name(1, number)), key: KeyHash("\(number)")))
        }
        order.trim(to: 6)
        #expect(order.offsets(of: KeyHash("3")) == nil)
        #expect(order.offsets(of: KeyHash("4")) == 7..<9)
        #expect(order.contains(.numbered(Self.name(1, 1))))
        order.trim(to: order.end)
        #expect(order.count == LocalOrder.mostTrimmed)
        #expect(!order.contains(.numbered(Self.name(1, 1))))
        #expect(order.isTrimmed(BusPlace(head: .message(.numbered(Self.name(1, 1))))))
        #expect(order.contains(.numbered(Self.name(1, 100))))
    }

    @Test("The other name of a message is forgotten with the message, in whatever order repeats came")
    func repeats() throws {
        var order = LocalOrder(end: 1, nothing: .nothing(of: "t"))
        let last = UInt64(LocalOrder.mostTrimmed + 2)
        for number in 1...last {
            order.append(
                .init(first: number, count: 1, name: .numbered(Self.name(1, number)), key: KeyHash("\(number)")))
        }
        for number in [last, 1] { order.append(repeat: .numbered(Self.name(2, number)), of: KeyHash("\(number)")) }
        let other = BusPlace(head: .message(.numbered(Self.name(2, 1))))
        #expect(order.course(from: other, local: Self.offset)?.head == 1)
        order.trim(to: order.end)
        #expect(order.course(from: other, local: Self.offset) == nil)
        #expect(
            order.course(from: BusPlace(head: .message(.numbered(Self.name(2, last)))), local: Self.offset)?.head
                == last)
    }

    @Test("What is stored with a message is read as it was written")
    func stored() {
        let messages = [
            StoredMessage(name: .numbered(Self.name(3, 4)), sequence: 7, mark: nil, key: "a\nb"),
            StoredMessage(name: .foreign(.max), sequence: nil, mark: 5, key: nil),
            StoredMessage(name: nil, sequence: .max, mark: .max, key: ""),
        ]
        for message in messages { #expect(StoredMessage(message.text(at: 9)) == message) }
        for text in ["", "1", "1 - -", "x - - -", "1 - - - -"] { #expect(StoredMessage(text) == nil, "\(text)") }
    }
}
#endif

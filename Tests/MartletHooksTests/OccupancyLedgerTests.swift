// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import Testing

@testable import MartletHooks

typealias Time = ManualClock.Instant

func at(_ seconds: Double) -> Time { Time(offset: .seconds(seconds)) }

@Suite("The ledger of occupied topics") struct OccupancyLedgerTests {
    private static let (a, b) = (NodeName(text: "a"), NodeName(text: "b"))

    private static func ledger(capacity: Int = 100) -> OccupancyLedger<Time> {
        OccupancyLedger(delay: .seconds(5), capacity: capacity)
    }

    private static func join(_ selector: TopicSelector) -> OccupancyChange { .init(selector, isOccupied: true) }
    private static func leave(_ selector: TopicSelector) -> OccupancyChange { .init(selector, isOccupied: false) }

    @Test("A topic is occupied at once, and vacated when it was without subscribers for the delay")
    func delay() {
        var ledger = Self.ledger()
        #expect(ledger.take(Self.join("x"), of: Self.a, at: at(0)) == true)
        #expect(ledger.nextDue == nil)
        #expect(ledger.take(Self.leave("x"), of: Self.a, at: at(1)) == false)
        #expect(ledger.nextDue == at(6))
        #expect(ledger.vacate(until: at(5.999)) == [])
        #expect(ledger.isOccupied("x"))
        #expect(ledger.vacate(until: at(6)) == ["x"])
        #expect(!ledger.isOccupied("x") && ledger.count == 0 && ledger.nextDue == nil)
        #expect(ledger.vacate(until: at(60)) == [])
        #expect(ledger.take(Self.join("x"), of: Self.a, at: at(60)) == true)
    }

    @Test("A page that reloads changes nothing, and the delay begins with the last subscriber that leaves")
    func reload() {
        var ledger = Self.ledger()
        #expect(ledger.take(Self.join("x"), of: Self.a, at: at(0)) == true)
        for second in stride(from: 1.0, to: 20, by: 2) {
            _ = ledger.take(Self.leave("x"), of: Self.a, at: at(second))
            #expect(ledger.take(Self.join("x"), of: Self.a, at: at(second + 1)) == false)
            #expect(ledger.vacate(until: at(second + 1)) == [])
        }
        _ = ledger.take(Self.leave("x"), of: Self.a, at: at(21))
        #expect(ledger.vacate(until: at(25.9)) == [])
        #expect(ledger.nextDue == at(26))
        #expect(ledger.vacate(until: at(26)) == ["x"])
    }

    @Test("A topic is occupied while any node has subscribers")
    func nodes() {
        var ledger = Self.ledger()
        #expect(ledger.take(Self.join("x"), of: Self.a, at: at(0)) == true)
        #expect(ledger.replace(Self.b, with: ["x", "y"], at: at(0)) == ["y"])
        _ = ledger.take(Self.leave("x"), of: Self.a, at: at(0))
        #expect(ledger.vacate(until: at(10)) == [])
        #expect(ledger.replace(Self.b, with: ["z"], at: at(10)) == ["z"])
        #expect(ledger.topics(of: Self.b) == ["z"])
        #expect(Set(ledger.vacate(until: at(15))) == ["x", "y"])
        #expect(ledger.occupied == ["z"])
    }

    @Test("A change that is repeated counts once")
    func repeated() {
        var ledger = Self.ledger()
        #expect(ledger.take(Self.join("x"), of: Self.a, at: at(0)) == true)
        #expect(ledger.take(Self.join("x"), of: Self.a, at: at(0)) == false)
        _ = ledger.take(Self.leave("x"), of: Self.a, at: at(0))
        _ = ledger.take(Self.leave("x"), of: Self.a, at: at(3))
        _ = ledger.take(Self.leave("never"), of: Self.b, at: at(3))
        #expect(ledger.vacate(until: at(5)) == ["x"])
    }

    @Test("Up to the capacity topics are kept; one more is left out and counted")
    func capacity() {
        var ledger = Self.ledger(capacity: 2)
        #expect(Set(ledger.replace(Self.a, with: ["x", "y"], at: at(0))) == ["x", "y"])
        #expect(ledger.omitted == 0)
        #expect(ledger.take(Self.join("z"), of: Self.a, at: at(0)) == false)
        #expect(ledger.omitted == 1 && ledger.count == 2)
        // Another node of a topic that is there needs no room, and leaving what was left out changes nothing.
        _ = ledger.replace(Self.b, with: ["x"], at: at(0))
        _ = ledger.take(Self.leave("z"), of: Self.a, at: at(0))
        #expect(ledger.omitted == 1 && ledger.topics(of: Self.b) == ["x"] && ledger.nextDue == nil)
    }
}

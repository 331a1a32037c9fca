// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import Testing

@testable import Martlet

@Suite struct NodeTrackerTests {
    private static let (own, a, b, c) = (
        NodeName(text: "own"), NodeName(text: "a"), NodeName(text: "b"), NodeName(text: "c")
    )

    private static func at(_ seconds: Int) -> ManualClock.Instant { ManualClock.Instant(offset: .seconds(seconds)) }

    private static func watch(nodes: Int = 100) -> NodeTracker<ManualClock.Instant> {
        var configuration = ExchangeConfiguration()
        configuration.nodes = nodes
        return NodeTracker(own: own, configuration: configuration)
    }

    @Test("Another version is read, until it was")
    func anotherVersionIsReadUntil() {
        var watch = Self.watch()
        #expect(watch.see([Self.own: 1, Self.b: 1, Self.a: 1], at: Self.at(0)).changed == [Self.a, Self.b])
        watch.read(1, of: Self.a)
        #expect(watch.see([Self.own: 2, Self.b: 1, Self.a: 1], at: Self.at(1)).changed == [Self.b])
        watch.read(3, of: Self.b)
        #expect(watch.see([Self.b: 3, Self.a: 2], at: Self.at(2)).changed == [Self.a])
    }

    @Test("A node that has left is gone once, and is new when it is back")
    func whoIsNotThereAny() {
        var watch = Self.watch()
        _ = watch.see([Self.a: 1, Self.b: 1], at: Self.at(0))
        watch.read(1, of: Self.a)
        #expect(watch.see([:], at: Self.at(1)).gone == [Self.a, Self.b])
        #expect(watch.see([:], at: Self.at(2)).gone == [])
        #expect(watch.see([Self.a: 1], at: Self.at(3)).changed == [Self.a])
    }

    @Test("A node that was not seen for an expiry has expired")
    func whoWasNotSeen() {
        var watch = Self.watch()
        _ = watch.see([Self.a: 1, Self.b: 1], at: Self.at(0))
        watch.read(1, of: Self.a)
        _ = watch.see([Self.a: 1, Self.b: 1], at: Self.at(5))
        #expect(watch.expire(at: Self.at(14)) == [])
        #expect(watch.expire(at: Self.at(15)) == [Self.a, Self.b])
        #expect(watch.expire(at: Self.at(16)) == [])
        // It is not known any more, so it is read again whatever its version is.
        #expect(watch.see([Self.a: 1], at: Self.at(17)).changed == [Self.a])
    }

    @Test("No more nodes are known than are allowed")
    func noMoreNodesAreKnown() {
        var watch = Self.watch(nodes: 2)
        #expect(watch.see([Self.b: 1, Self.own: 1, Self.c: 1], at: Self.at(0)).ignored == 0)
        let seen = watch.see([Self.a: 1, Self.b: 2, Self.own: 1, Self.c: 2], at: Self.at(1))
        #expect(seen.changed == [Self.b, Self.c] && seen.ignored == 1)
        let later = watch.see([Self.a: 1, Self.c: 2], at: Self.at(2))
        #expect(later.gone == [Self.b] && later.changed == [Self.a, Self.c] && later.ignored == 0)
    }
}

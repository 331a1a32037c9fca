// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import Testing

@testable import MartletAuth

@Suite struct GenerationCacheTests {
    private typealias Cache = GenerationCache<Int, String, ManualClock.Instant>

    private func at(_ seconds: Int) -> ManualClock.Instant { .init(offset: .seconds(seconds)) }

    @Test("A value is remembered until its time")
    func valueIsRememberedUntil() {
        var cache = Cache(capacity: 10)
        cache.store("a", for: 1, until: at(5))
        #expect(cache.value(for: 1, at: at(4)) == "a")
        #expect(cache.value(for: 1, at: at(5)) == nil)
        cache.store("b", for: 1, until: at(9))
        #expect(cache.value(for: 1, at: at(5)) == "b")
        #expect(cache.value(for: 2, at: at(0)) == nil)
    }

    @Test("No more is remembered than there is room for, and the last half always", arguments: [0, 1, 2, 3, 10, 11])
    func noMoreIsRemembered(capacity: Int) {
        var cache = Cache(capacity: capacity)
        for key in 0..<100 {
            cache.store("\(key)", for: key, until: at(1))
            cache.store("\(key)", for: key, until: at(1))
            #expect(cache.count <= capacity)
            for last in (0...key).suffix(capacity == 1 ? 1 : capacity / 2) {
                #expect(cache.value(for: last, at: at(0)) == "\(last)")
            }
        }
        #expect(cache.value(for: 0, at: at(0)) == nil)
    }
}

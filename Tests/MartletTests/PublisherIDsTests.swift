// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

@Suite("The index of publishers' ids")
struct PublisherIDsTests {
    private var ids = PublisherIDs()

    @Test("An id that is not in history has no place")
    func unknown() {
        #expect(ids.all("a").first == nil)
    }

    @Test("Of several occurrences the earliest counts, until it is removed")
    mutating func earliest() {
        for offset in [2, 5, 9] as [UInt64] { ids.insert("a", at: offset) }
        ids.insert("b", at: 7)
        for (removed, next) in [(2, 5), (5, 9)] as [(UInt64, UInt64)] {
            #expect(ids.all("a").first == removed)
            ids.remove("a", at: removed)
            #expect(ids.all("a").first == next)
        }
        ids.remove("a", at: 9)
        #expect(ids.all("a").first == nil)
        #expect(ids.all("b").first == 7)
    }

    @Test("An id comes back after its last occurrence was removed")
    mutating func again() {
        ids.insert("a", at: 1)
        ids.remove("a", at: 1)
        ids.insert("a", at: 2)
        #expect(ids.all("a").first == 2)
    }

    @Test("The answers are those of a search through history")
    mutating func model() throws {
        for seed in UInt64(0)..<50 {
            var generator = SeededGenerator(seed: seed)
            ids = PublisherIDs()
            var history: [(id: String, offset: UInt64)] = []
            for offset in 1...200 as ClosedRange<UInt64> {
                let id = String(Int.random(in: 0..<8, using: &generator))
                ids.insert(id, at: offset)
                history.append((id, offset))
                while history.count > Int.random(in: 0..<40, using: &generator) {
                    let oldest = history.removeFirst()
                    ids.remove(oldest.id, at: oldest.offset)
                }
                for id in (0..<8).map(String.init) {
                    let expected = history.first { $0.id == id }?.offset
                    try #require(ids.all(id).first == expected, "seed \(seed), id \(id), after \(offset) events")
                }
            }
        }
    }
}

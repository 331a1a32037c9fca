// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import MartletMercure

@Suite struct ConnectionIndexTests {
    @Test("Connections are found by subscriber and by selector, in the order in which they began")
    func connectionsAreFoundBySubscriber() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var book = ConnectionIndex()
        var expected: [ActiveConnection.Entry] = []
        let selectors = ["a", "b", "\u{E9}", "e\u{301}", "{x}"]
        for arrival in 1...500 {
            if Int.random(in: 0..<3, using: &random) > 0 || expected.isEmpty {
                let entry = ActiveConnection.Entry(
                    subscriber: "u\(Int.random(in: 0..<40, using: &random))",
                    selectors: Array(selectors.shuffled(using: &random).prefix(2)), payload: nil, arrival: arrival)
                book.insert(entry)
                expected.removeAll { $0.subscriber == entry.subscriber }
                expected.append(entry)
            } else {
                let gone = expected.remove(at: Int.random(in: 0..<expected.count, using: &random))
                book.remove(gone.subscriber)
                #expect(book[gone.subscriber] == nil)
            }
            #expect(book.inOrder == expected, "seed \(seed)")
            for selector in selectors {
                let own = expected.filter { $0.selectors.contains { $0.utf8.elementsEqual(selector.utf8) } }
                try #require(book.entries(to: selector) == own, "seed \(seed)")
            }
            if let entry = expected.first { #expect(book[entry.subscriber] == entry) }
        }
    }

    @Test("Subscribers are told apart byte for byte")
    func subscribersAreToldApartByte() {
        let entries = ["\u{E9}", "e\u{301}"].map {
            ActiveConnection.Entry(subscriber: $0, selectors: ["a"], payload: nil)
        }
        let book = ConnectionIndex(entries)
        #expect(book.entries.count == 2)
        #expect(book.entries(to: "a").count == 2)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletMercure

@Suite struct SubscriptionChangesTests {
    private static func connections(_ subscribers: [String]) -> ConnectionIndex {
        ConnectionIndex(
            subscribers.enumerated().map {
                ActiveConnection.Entry(subscriber: $1, selectors: ["a"], payload: nil, arrival: $0)
            })
    }

    @Test(
        "Missing subscriptions have ended, and new ones have begun",
        arguments: [
            ([], [], [], []),
            ([], ["b", "a"], [], ["b", "a"]),
            (["b", "a"], [], ["b", "a"], []),
            (["a", "b"], ["a", "b"], [], []),
            (["d", "a", "c", "b"], ["a", "b", "f", "e"], ["d", "c"], ["f", "e"]),
        ] as [([String], [String], [String], [String])])
    func whatIsGoneHasEnded(
        before: [String], now: [String], ended: [String], began: [String]
    ) {
        let changes = SubscriptionChanges(from: Self.connections(before), to: Self.connections(now))
        #expect(changes.ended.map(\.subscriber) == ended)
        #expect(changes.began.map(\.subscriber) == began)
    }
}

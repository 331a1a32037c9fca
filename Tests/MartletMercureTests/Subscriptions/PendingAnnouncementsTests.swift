// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletMercure

@Suite struct PendingAnnouncementsTests {
    private static func entry(_ number: Int) -> ActiveConnection.Entry {
        ActiveConnection.Entry(subscriber: "\(number)", selectors: ["a"], payload: nil, arrival: number)
    }

    private static func text(_ changes: [(entry: ActiveConnection.Entry, isActive: Bool)]) -> [String] {
        changes.map { ($0.isActive ? "+" : "-") + $0.entry.subscriber }
    }

    @Test("Begun subscriptions come in order, then ended ones, each once")
    func whatHasBegunComes() {
        var changes = PendingAnnouncements()
        for number in [3, 1, 2] { changes.begin(Self.entry(number)) }
        changes.end(Self.entry(0))
        #expect(Self.text(changes.take()) == ["+1", "+2", "+3", "-0"])
        #expect(changes.take().isEmpty)
        changes.end(Self.entry(2))
        #expect(Self.text(changes.take()) == ["-2"])
    }

    @Test("A connection that was never announced ends without an announcement, and takes no memory")
    func connectionThatNobodyHasHeard() {
        var changes = PendingAnnouncements()
        for number in 0..<1_000 {
            changes.begin(Self.entry(number))
            changes.end(Self.entry(number))
        }
        #expect(changes.count == 0)
    }
}

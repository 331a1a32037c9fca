// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The publishes that wait to be written.
struct Waiting {
    private var publishes: Deque<Commit.Publish> = []
    /// Of those that wait and of those that will in a moment.
    private(set) var byteCount = 0

    /// The most events that are written in one transaction, and the most bytes; one publish is written whole.
    private static let mostEvents = 1000
    private static let mostBytes = 4 * 1024 * 1024

    /// Makes room for a publish that comes.
    mutating func reserve(_ byteCount: Int) { self.byteCount += byteCount }

    /// A publish comes, or comes to nothing, that room was made for.
    mutating func append(_ publish: Commit.Publish) { publishes.append(publish) }

    /// Takes out what is written next.
    mutating func takeGroup() -> [Commit.Publish] {
        var group: [Commit.Publish] = []
        var (events, bytes) = (0, 0)
        while let publish = publishes.first {
            events += publish.events.count
            bytes += publish.byteCount
            guard group.isEmpty || (events <= Self.mostEvents && bytes <= Self.mostBytes) else { break }
            publishes.removeFirst()
            byteCount -= publish.byteCount
            group.append(publish)
        }
        return group
    }

    var count: Int { publishes.count }
}

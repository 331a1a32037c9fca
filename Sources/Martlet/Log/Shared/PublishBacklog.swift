// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The publishes that wait to be sent to a shared log. A value.
package struct PublishBacklog: Sendable {
    /// How much may wait, and how much goes at once.
    package struct Limits: Sendable {
        /// The most publishes that wait.
        package var publishes: Int
        /// The most bytes of events that wait.
        package var bytes: Int
        /// The most events that go at once; one publish goes whole.
        package var groupEvents: Int
        /// The most bytes of them.
        package var groupBytes: Int

        package init(publishes: Int, bytes: Int, groupEvents: Int, groupBytes: Int) {
            self.publishes = publishes
            self.bytes = bytes
            self.groupEvents = groupEvents
            self.groupBytes = groupBytes
        }
    }

    package struct Publish: Sendable {
        package var events: [Event]
        package var key: String?
        /// Until when somebody waits for the answer.
        package var deadline: ContinuousClock.Instant
        package var byteCount: Int
        package var continuation: CheckedContinuation<[Position], any Error>
    }

    private let limits: Limits
    private var publishes: Deque<Publish> = []
    private var byteCount = 0

    package init(_ limits: Limits) { self.limits = limits }

    package var isEmpty: Bool { publishes.isEmpty }

    /// Returns whether there was room.
    package mutating func append(_ publish: Publish) -> Bool {
        guard publishes.count < limits.publishes, byteCount + publish.byteCount <= limits.bytes || publishes.isEmpty
        else { return false }
        publishes.append(publish)
        byteCount += publish.byteCount
        return true
    }

    /// Takes out what goes next, and besides it what nobody waits for any more.
    package mutating func takeGroup(at now: ContinuousClock.Instant) -> (group: [Publish], expired: [Publish]) {
        var (group, expired): ([Publish], [Publish]) = ([], [])
        var (events, bytes) = (0, 0)
        while let publish = publishes.first {
            if publish.deadline <= now {
                expired.append(publish)
            } else {
                events += publish.events.count
                bytes += publish.byteCount
                guard group.isEmpty || (events <= limits.groupEvents && bytes <= limits.groupBytes) else { break }
                group.append(publish)
            }
            byteCount -= publish.byteCount
            publishes.removeFirst()
        }
        return (group, expired)
    }

    package mutating func takeAll() -> [Publish] {
        defer {
            publishes = []
            byteCount = 0
        }
        return Array(publishes)
    }
}

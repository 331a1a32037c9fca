// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// A publish that waits until its log has accepted it.
package struct PendingPublish: Sendable {
    package var events: [Event]
    package var key: String?
    /// As retention counts.
    package var byteCount: Int
    /// When the publisher stops waiting; `nil` for never.
    package var deadline: ContinuousClock.Instant?
    /// Whether it must not be accepted any more, because a publish in front of it was not; `nil` for never.
    package var mustFail: (@Sendable () -> Bool)?
    /// Whether the log refuses it where a topic has ended or its writer was replaced. Not if another log has accepted it.
    package var mayBeRefused: Bool
    /// Called once, with the positions of the events or why they were not accepted.
    package var answer: @Sendable (Result<[Position], any Error>) -> Void

    package init(
        _ events: [Event], once key: String?, byteCount: Int, deadline: ContinuousClock.Instant? = nil,
        mustFail: (@Sendable () -> Bool)? = nil, mayBeRefused: Bool = true,
        answer: @escaping @Sendable (Result<[Position], any Error>) -> Void
    ) {
        self.events = events
        self.key = key
        self.byteCount = byteCount
        self.deadline = deadline
        self.mustFail = mustFail
        self.mayBeRefused = mayBeRefused
        self.answer = answer
    }
}

/// The publishes that wait for a log, and the groups in which the log accepts them. A value.
///
/// A publish first reserves room, then it is appended.
package struct PublishBacklog: Sendable {
    private let mostPublishes: Int
    private let mostBytes: Int
    private let groupEvents: Int
    private let groupBytes: Int
    private var publishes: Deque<PendingPublish> = []
    /// Of the publishes that wait, and of those that have reserved room.
    package private(set) var byteCount = 0

    /// - Parameters:
    ///   - publishes: The most publishes that wait.
    ///   - bytes: The most bytes of events that wait. One publish may be larger.
    ///   - groupEvents: The most events of a group. A publish is never split, so one publish may have more.
    ///   - groupBytes: The most bytes of a group, in the same way.
    package init(publishes: Int = .max, bytes: Int = .max, groupEvents: Int, groupBytes: Int) {
        mostPublishes = publishes
        mostBytes = bytes
        self.groupEvents = groupEvents
        self.groupBytes = groupBytes
    }

    package var count: Int { publishes.count }
    package var isEmpty: Bool { publishes.isEmpty }

    /// Whether there is room for a publish of so many bytes.
    package func hasRoom(for byteCount: Int) -> Bool {
        count < mostPublishes && (isEmpty || self.byteCount + byteCount <= mostBytes)
    }

    package mutating func reserve(_ byteCount: Int) { self.byteCount += byteCount }

    package mutating func append(_ publish: PendingPublish) { publishes.append(publish) }

    /// Removes the next group, and the publishes in front of it whose publishers have stopped waiting.
    package mutating func takeGroup(
        at now: ContinuousClock.Instant = .now
    ) -> (group: [PendingPublish], expired: [PendingPublish]) {
        var (group, expired): ([PendingPublish], [PendingPublish]) = ([], [])
        var (events, bytes) = (0, 0)
        while let publish = publishes.first {
            if let deadline = publish.deadline, deadline <= now {
                expired.append(publish)
            } else {
                events += publish.events.count
                bytes += publish.byteCount
                guard group.isEmpty || (events <= groupEvents && bytes <= groupBytes) else { break }
                group.append(publish)
            }
            byteCount -= publish.byteCount
            publishes.removeFirst()
        }
        return (group, expired)
    }

    package mutating func takeAll() -> [PendingPublish] {
        defer {
            for publish in publishes { byteCount -= publish.byteCount }
            publishes = []
        }
        return Array(publishes)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The regular times of a shard.
struct Schedule {
    private let heartbeat: Duration
    private var nextHeartbeat: ContinuousClock.Instant
    private var nextLook: ContinuousClock.Instant

    /// How often a shard looks for clients that are slow to read or to leave.
    private static var lookInterval: Duration { .milliseconds(500) }

    init(heartbeat: Duration, now: ContinuousClock.Instant = .now) {
        self.heartbeat = heartbeat
        nextHeartbeat = now + heartbeat
        nextLook = now
    }

    /// When there is something to do next.
    ///
    /// - Parameter nextEnd: When the next stream is to end.
    func next(hasStragglers: Bool, nextEnd: ContinuousClock.Instant?) -> ContinuousClock.Instant {
        var next = nextHeartbeat
        if hasStragglers { next = min(next, nextLook) }
        if let nextEnd { next = min(next, nextEnd) }
        return next
    }

    mutating func isHeartbeatDue(now: ContinuousClock.Instant) -> Bool {
        guard now >= nextHeartbeat else { return false }
        nextHeartbeat = now + heartbeat
        return true
    }

    mutating func isLookDue(now: ContinuousClock.Instant) -> Bool {
        guard now >= nextLook else { return false }
        nextLook = now + Self.lookInterval
        return true
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What a shard does at certain times.
struct Schedule {
    private let heartbeat: Duration
    private var nextHeartbeat: ContinuousClock.Instant
    private var nextLook: ContinuousClock.Instant

    /// How often it is looked who is slow to leave.
    private static var lookInterval: Duration { .milliseconds(500) }

    init(heartbeat: Duration, now: ContinuousClock.Instant = .now) {
        self.heartbeat = heartbeat
        nextHeartbeat = now + heartbeat
        nextLook = now
    }

    /// How long there is nothing to do, in whole milliseconds, rounded up.
    ///
    /// - Parameter nextEnd: When the next stream is to end.
    func milliseconds(
        hasStragglers: Bool, nextEnd: ContinuousClock.Instant?, now: ContinuousClock.Instant = .now
    ) -> Int32 {
        var next = nextHeartbeat
        if hasStragglers { next = min(next, max(nextLook, now)) }
        if let nextEnd { next = min(next, nextEnd) }
        return Int32(clamping: max(0, (next - now).milliseconds + 1))
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

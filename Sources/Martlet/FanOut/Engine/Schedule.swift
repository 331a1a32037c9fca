// SPDX-License-Identifier: Apache-2.0

/// What a shard does at certain times.
struct Schedule<Token> {
    private let heartbeat: Duration
    private let grace: Duration
    private var nextHeartbeat: ContinuousClock.Instant
    private var nextLook: ContinuousClock.Instant
    /// Streams to end, the latest first.
    private var ends: [(time: ContinuousClock.Instant, token: Token)] = []

    /// How often it is looked who is slow to leave.
    private static var lookInterval: Duration { .milliseconds(500) }

    init(heartbeat: Duration, grace: Duration, now: ContinuousClock.Instant = .now) {
        self.heartbeat = heartbeat
        self.grace = grace
        nextHeartbeat = now + heartbeat
        nextLook = now
    }

    /// How long there is nothing to do, in whole milliseconds, rounded up.
    func milliseconds(hasStragglers: Bool, now: ContinuousClock.Instant = .now) -> Int32 {
        var next = nextHeartbeat
        if hasStragglers { next = min(next, max(nextLook, now)) }
        if let end = ends.last { next = min(next, end.time) }
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

    /// Ends streams, each at a moment of its own within the grace period.
    mutating func end(_ tokens: [Token], now: ContinuousClock.Instant) {
        ends += tokens.map { (now + .random(in: .zero...grace), $0) }
        ends.sort { $0.time > $1.time }
    }

    /// Takes out the streams that are to end now.
    mutating func due(now: ContinuousClock.Instant) -> [Token] {
        var due: [Token] = []
        while let next = ends.last, next.time <= now {
            due.append(next.token)
            ends.removeLast()
        }
        return due
    }
}

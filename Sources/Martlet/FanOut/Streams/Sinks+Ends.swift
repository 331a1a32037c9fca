// SPDX-License-Identifier: Apache-2.0

/// A time in tenths of a second since a shard began, in four bytes: every subscriber has one.
struct Tick: Comparable, Sendable {
    private let tenths: UInt32

    static let never = Tick(tenths: .max)

    private init(tenths: UInt32) { self.tenths = tenths }

    /// - Parameter time: Since the shard began; rounded down.
    init(_ time: Duration) { tenths = UInt32(clamping: time.milliseconds / 100) }

    /// Since the shard began; `nil` for never.
    var time: Duration? { self == .never ? nil : .milliseconds(Int(tenths) * 100) }

    static func < (a: Tick, b: Tick) -> Bool { a.tenths < b.tenths }
}

/// When streams end: because of their age, with the right to them, or because the hub drains.
extension Sinks {
    /// When the next stream is to end; `nil` where none is.
    var nextEnd: ContinuousClock.Instant? { earliestEnd.time.map { start + $0 } }

    /// Ends a stream at a random moment within the grace period.
    mutating func endSoon(_ token: SinkToken, now: ContinuousClock.Instant) {
        end(token, at: now + .random(in: .zero...fanOut.configuration.grace), because: .drained)
    }

    /// Has a stream ended at a time, unless it ends sooner.
    mutating func end(_ token: SinkToken, at time: ContinuousClock.Instant, because reason: StreamEnd) {
        guard let index = index(of: token) else { return }
        let tick = Tick(time - start)
        if reason != .expired, let (lease, end, _) = leases[index], tick < end { leases[index] = (lease, tick, reason) }
        guard tick < members[Int(index)].end else { return }
        members[Int(index)].end = tick
        members[Int(index)].reason = reason
        earliestEnd = min(earliestEnd, tick)
    }

    /// Has a stream end when its lease says so now, unless it ends sooner; at once where the lease was revoked. Makes the
    /// changes that wait.
    mutating func leaseChanged(_ token: SinkToken, now: ContinuousClock.Instant) {
        guard let index = index(of: token), let (lease, other, reason) = leases[index] else { return }
        if lease.isRevoked { return end(token, because: .revoked, retry: fanOut.retry(), now: now) }
        if members[Int(index)].reason == .expired {
            members[Int(index)].end = other
            members[Int(index)].reason = reason
        }
        if let end = lease.end { self.end(token, at: end, because: .expired) }
        makeChanges(of: index, now: now)
    }

    /// Ends the streams whose time has come. Looks at all of them, but only when one is due.
    mutating func endDue(now: ContinuousClock.Instant) {
        let tick = Tick(now - start)
        guard earliestEnd <= tick else { return }
        earliestEnd = .never
        for index in members.indices where members[index].end != .never {
            if members[index].end <= tick {
                members[index].end = .never
                end(token(of: Int32(index)), because: members[index].reason, retry: fanOut.retry(), now: now)
            } else {
                earliestEnd = min(earliestEnd, members[index].end)
            }
        }
    }

    /// Ends a stream properly: what it was being sent, a last block that says when to come back, the end of the body,
    /// the end of what is sent. The connection is closed when the client has closed its side too, or after a while.
    ///
    /// - Parameter last: Blocks before that.
    mutating func end(
        _ token: SinkToken, because reason: StreamEnd, retry: Duration, last: [Unsent] = [],
        now: ContinuousClock.Instant
    ) {
        guard let index = index(of: token) else { return }
        switch stragglers[index]?.phase {
        case .ending, .lingering: return
        default: break
        }
        leaveGroup(index)
        let straggler = stragglers[index] ?? Straggler(cursor: .after(.earliest))
        // Only what was begun is ended; the client asks for the rest when it is back.
        if straggler.dropSlice() { tally.replayed += 1 }
        straggler.place = nil
        straggler.unsent.removeAll { !$0.isBegun }
        straggler.unsent += last
        straggler.unsent.append(Unsent(.retry(retry), members[Int(index)].framing))
        straggler.phase = .ending
        straggler.reason = reason
        stragglers[index] = straggler
        finish(index, now: now)
    }

    /// Goes on ending a stream whose socket takes bytes again.
    mutating func finish(_ index: Int32, now: ContinuousClock.Instant) {
        guard flush(index, now: now) else { return }
        let member = members[Int(index)]
        if case .chunked = member.framing {
            // A socket that has taken everything before takes five bytes too; if not, the client sees a cut stream.
            _ = Array("0\r\n\r\n".utf8).withUnsafeBytes { transport.send($0, to: member.socket) }
        }
        transport.finish(member.socket)
        let end = now + lingering
        stragglers[index]?.phase = .lingering(until: end)
    }
}

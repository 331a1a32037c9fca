// SPDX-License-Identifier: Apache-2.0

/// A pass, and what happens because time has passed.
extension Sinks {
    /// Does what is due: answers of the log, a slice of each feed that has grown, a slice each for those whose turn it is
    /// to catch up, ends, and heartbeats.
    mutating func pass(_ mail: inout ShardMail, now: ContinuousClock.Instant) {
        for (token, result) in mail.slices { finishReading(token, result, now: now) }
        // Nothing here holds the slices while they are written.
        mail.slices = []
        if mail.isDraining { for token in tokens { endSoon(token, now: now) } }
        grow(mail.grown)
        let start = ContinuousClock.now
        if !pending.isEmpty || !mail.grown.isEmpty {
            // Taken after the mail: a feed that grows later has another pass.
            let tail = fanOut.tail.sequence
            advancePending(now: now)
            fanOut.reached(slowestPending ?? tail, by: listener)
        }
        takeTurns(liveSince: start)
        for token in mail.changedLeases { leaseChanged(token, now: now) }
        endDue(now: now)
        if schedule.isHeartbeatDue(now: now) { beat(now: now) }
        if hasStragglers, schedule.isLookDue(now: now) { expire(now: now) }
        reportTally()
    }

    /// When there is something to do that waits for nothing but time.
    var nextTime: ContinuousClock.Instant { schedule.next(hasStragglers: hasStragglers, nextEnd: nextEnd) }

    /// Shows clients that their streams are alive. A client that is caught up receives the id of the end of the log, a
    /// straggler a comment, and a client whose socket is full nothing; other profiles have other heartbeats.
    mutating func beat(now: ContinuousClock.Instant) {
        lastRead = nil
        for index in groups.indices {
            // A group that is being sent events needs no heartbeat.
            guard groups[index] != nil, advance(index, now: now), let mark = groups[index]?.mark else { continue }
            sendHeartbeat(at: mark, to: index, now: now)
        }
        for index in Array(stragglers.keys) { nudge(index, now: now) }
    }

    /// Asks again for a straggler that waits for something that may not come by itself.
    private mutating func nudge(_ index: Int32, now: ContinuousClock.Instant) {
        // A straggler that is about to be sent something needs no heartbeat.
        guard let straggler = stragglers[index], straggler.blockedSince == nil, !straggler.isInLine else { return }
        let heartbeat = [Unsent(members[Int(index)].profile.heartbeat, members[Int(index)].framing)]
        switch straggler.phase {
        case .moving, .waiting:
            let group = Int(members[Int(index)].group)
            groups[group]?.waiting.removeAll { $0.index == index }
            stragglers[index]?.phase = .moving
            stragglers[index]?.unsent = heartbeat
            move(index)
        case .reading:
            // Its socket is free while it waits for history.
            stragglers[index]?.unsent = heartbeat
            _ = flush(index, now: now)
        case .ending, .lingering:
            break
        }
    }

    /// Closes the connections that have taken nothing for too long, and those that were ended long enough ago.
    mutating func expire(now: ContinuousClock.Instant) {
        for (index, straggler) in stragglers {
            if case .lingering(let end) = straggler.phase, now >= end { remove(index) }
            if let since = straggler.blockedSince, now - since >= fanOut.configuration.writeTimeout {
                remove(index, because: .slow)
            }
        }
    }

    /// Tells the hub's metrics what was written since the last time.
    mutating func reportTally() {
        guard tally.bytes > 0 else { return }
        fanOut.metrics.delivered(
            tally.deliveries, replayed: tally.replayed, bytes: tally.bytes, replayedBytes: tally.replayedBytes)
        if let oldest = tally.oldest { fanOut.metrics.delivered(since: oldest) }
        tally = Tally()
    }
}

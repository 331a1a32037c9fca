// SPDX-License-Identifier: Apache-2.0

/// What happens because time has passed.
extension SocketSinks {
    /// Shows all clients that their streams are alive: the id of the end of the log to who is there, a comment to who is
    /// not, and nothing to who cannot take it.
    mutating func beat(now: ContinuousClock.Instant) {
        for index in groups.indices {
            // Who is being sent events needs no heartbeat.
            guard groups[index] != nil, advance(index, now: now), let mark = groups[index]?.mark else { continue }
            send(ShortList((WireBytes.id(mark.position), mark)), from: mark, to: index, now: now)
        }
        for index in Array(stragglers.keys) { nudge(index, now: now) }
    }

    /// Asks again for a straggler that waits for something that may not come by itself.
    private mutating func nudge(_ index: Int32, now: ContinuousClock.Instant) {
        // Who is about to be sent something needs no heartbeat.
        guard let straggler = stragglers[index], straggler.blockedSince == nil, !straggler.isInLine else { return }
        let comment = [Unsent(.comment, members[Int(index)].framing)]
        switch straggler.phase {
        case .moving, .waiting:
            let group = Int(members[Int(index)].group)
            groups[group]?.waiting.removeAll { $0.index == index }
            stragglers[index]?.phase = .moving
            stragglers[index]?.unsent = comment
            move(index)
        case .reading:
            // Its socket is free while it waits for history.
            stragglers[index]?.unsent = comment
            _ = flush(index, now: now)
        case .ending, .lingering:
            break
        }
    }

    /// Closes the connections that have taken nothing for too long, and those that were ended long enough ago.
    mutating func expire(now: ContinuousClock.Instant) {
        for (index, straggler) in stragglers {
            if case .lingering(let end) = straggler.phase, now >= end { remove(index) }
            if let since = straggler.blockedSince, now - since >= hub.configuration.writeTimeout {
                remove(index, because: .slow)
            }
        }
    }

    /// Tells the hub's metrics what was written since the last time.
    mutating func reportTally() {
        guard tally.bytes > 0 else { return }
        hub.metrics.delivered(tally.deliveries, replayed: tally.replayed, bytes: tally.bytes)
        if let oldest = tally.oldest { hub.metrics.delivered(since: oldest) }
        tally = Tally()
    }
}

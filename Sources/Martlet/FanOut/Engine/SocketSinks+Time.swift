// SPDX-License-Identifier: Apache-2.0

/// What happens because time has passed.
extension SocketSinks {
    /// Shows all clients that their streams are alive: the id of the end of the log to who is there, a comment to who is
    /// not, and nothing to who cannot take it.
    mutating func beat(now: ContinuousClock.Instant) {
        for index in groups.indices {
            // Who is being sent events needs no heartbeat.
            guard let feed = groups[index]?.subscription.feed, advance(feed, now: now) else { continue }
            guard let mark = groups[index]?.mark else { continue }
            send([(WireBytes.id(mark.position), mark)], from: mark, to: index, now: now)
        }
        for index in Array(stragglers.keys) { nudge(index, now: now) }
    }

    /// Asks again for a straggler that waits for something that may not come by itself.
    private mutating func nudge(_ index: Int32, now: ContinuousClock.Instant) {
        guard let straggler = stragglers[index], straggler.blockedSince == nil else { return }
        switch straggler.phase {
        case .moving, .waiting:
            let group = Int(members[Int(index)].group)
            groups[group]?.waiting.removeAll { $0.index == index }
            stragglers[index]?.phase = .moving
            stragglers[index]?.unsent = [.comment]
            move(index, now: now)
        case .reading:
            // Its socket is free while it waits for history.
            stragglers[index]?.unsent = [.comment]
            _ = flush(index, now: now)
        case .ending, .lingering:
            break
        }
    }

    /// Closes the connections that have taken nothing for too long, and those that were ended long enough ago.
    mutating func expire(now: ContinuousClock.Instant) {
        for (index, straggler) in stragglers {
            if case .lingering(let end) = straggler.phase, now >= end { remove(index) }
            if let since = straggler.blockedSince, now - since >= hub.configuration.writeTimeout { remove(index) }
        }
    }

    /// Ends a stream properly: what it was being sent, a last block that says when to come back, the end of the body,
    /// the end of what is sent. The connection is closed when the client has closed its side too, or after a while.
    mutating func end(_ token: Token, retry: Duration, now: ContinuousClock.Instant) {
        guard let index = index(of: token) else { return }
        switch stragglers[index]?.phase {
        case .ending, .lingering: return
        default: break
        }
        leaveGroup(index)
        var straggler = stragglers[index] ?? Straggler(cursor: .after(.earliest))
        // Only what was begun is ended; the client asks for the rest when it is back.
        straggler.unsent = straggler.offset > 0 ? straggler.unsent.prefix(1) : []
        straggler.unsent.append(.retry(retry))
        straggler.phase = .ending
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

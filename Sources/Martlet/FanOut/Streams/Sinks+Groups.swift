// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension Sinks {
    /// Feeds have grown.
    mutating func grow(_ feeds: [FeedID]) {
        for feed in feeds {
            guard let index = groupIndex(of: feed), let group = groups[Int(index)], !group.isPending else { continue }
            group.isPending = true
            pending.append(index)
        }
    }

    /// Sends a slice of each feed that has grown. Those that have more to send stay pending.
    mutating func advancePending(now: ContinuousClock.Instant) {
        var rest = pending[...]
        pending.removeAll(keepingCapacity: true)
        while !rest.isEmpty {
            // Sending to one group changes nothing for another, so the hub's lock is taken for many at once.
            var some: [(index: Int32, group: Group)] = []
            for index in rest.prefix(Self.groupsPerLock) {
                guard let group = groups[Int(index)], group.isPending else { continue }
                group.isPending = false
                some.append((index, group))
            }
            rest = rest.dropFirst(Self.groupsPerLock)
            let steps = fanOut.steps(some.map { _, group in (group.feed, .at(group.mark)) })
            for ((index, group), step) in zip(some, steps) {
                group.isPending = !advance(Int(index), by: step, now: now)
                if group.isPending { pending.append(index) }
            }
        }
    }

    private static var groupsPerLock: Int { 64 }

    /// The number up to which all pending groups have been served; `nil` if none is pending.
    var slowestPending: SequenceNumber? { pending.lazy.compactMap { groups[Int($0)]?.mark.sequence }.min() }

    /// Sends a slice of its feed to all members that stand where the group stands. Returns whether that was all.
    mutating func advance(_ index: Int, now: ContinuousClock.Instant) -> Bool {
        guard let group = groups[index] else { return true }
        return advance(index, by: fanOut.step(group.feed, .at(group.mark)), now: now)
    }

    private mutating func advance(_ index: Int, by step: Step, now: ContinuousClock.Instant) -> Bool {
        guard let group = groups[index] else { return true }
        let from = group.mark
        let isAll: Bool
        switch step {
        case .deliver(let entries, let mark, let isLast):
            group.mark = mark
            send(blocks(of: entries), from: from, to: index, now: now)
            if let time = entries.first?.frame.time { tally.oldest = min(tally.oldest ?? time, time) }
            isAll = isLast
        case .caughtUp(let mark):
            group.mark = mark
            isAll = true
        case .finished(let mark):
            group.mark = mark
            for member in Array(group.chunked) + group.plain { conclude(member, at: mark, now: now) }
            isAll = true
        case .replay, .skip, .ahead, .values:
            // The place is gone from the window. Members that stand there read history, or skip it; the group waits at the end.
            group.mark = fanOut.tail
            for member in Array(group.chunked) + group.plain {
                leaveGroup(member)
                stragglers[member] = Straggler(cursor: .at(from))
                move(member)
            }
            isAll = true
        }
        wakeWaiting(in: index)
        return isAll
    }

    /// A block, and where a member stands that has received it.
    typealias Block = (bytes: WireBytes, cursor: Cursor)

    /// Sends blocks to all members that stand where their group stands.
    ///
    /// - Parameters:
    ///   - blocks: The blocks to send.
    ///   - from: Where they stand.
    mutating func send(
        _ blocks: ShortList<Block>, from: Mark, to group: Int, now: ContinuousClock.Instant
    ) {
        guard hasProfiles(group) else { return send(blocks, from: from, to: group, of: nil, now: now) }
        for profile in StreamProfile.allCases {
            send(self.blocks(blocks, for: profile), from: from, to: group, of: profile, now: now)
        }
    }

    /// Sends a heartbeat to all members that stand where their group stands.
    mutating func sendHeartbeat(at mark: Mark, to group: Int, now: ContinuousClock.Instant) {
        let profiles: [StreamProfile?] = hasProfiles(group) ? StreamProfile.allCases : [nil]
        for profile in profiles {
            let heartbeat = (profile ?? .standard).heartbeat(at: mark.position)
            send(ShortList((heartbeat, Cursor.at(mark))), from: mark, to: group, of: profile, now: now)
        }
    }

    /// Whether a member of a group has another profile than the standard. Looks at all of them, but only where one had.
    private func hasProfiles(_ index: Int) -> Bool {
        guard let group = groups[index], group.hasProfiles else { return false }
        func isStandard(_ member: Int32) -> Bool { members[Int(member)].profile == .standard }
        group.hasProfiles = !group.chunked.allSatisfy(isStandard) || !group.plain.allSatisfy(isStandard)
        return group.hasProfiles
    }

    /// - Parameter profile: Only to the members with this profile; `nil`: to all.
    private mutating func send(
        _ blocks: ShortList<Block>, from: Mark, to group: Int, of profile: StreamProfile?,
        now: ContinuousClock.Instant
    ) {
        guard !blocks.isEmpty else { return }
        for framing in [Framing.chunked, .plain] {
            guard let list = groups[group]?.list(framing), !list.isEmpty else { continue }
            let bytes = joined(blocks, framing)
            let events = blocks.count { $0.bytes.isEvent }
            let size = bytes.readableBytes
            bytes.withUnsafeReadableBytes { bytes in
                // Members that leave the list meanwhile are replaced by its last, which has had its turn.
                for member in list.reversed() {
                    if let profile, members[Int(member)].profile != profile { continue }
                    switch transport.send(bytes, to: members[Int(member)].socket) {
                    case .sent(bytes.count): tally.add(bytes.count, deliveries: events)
                    case .sent(let count): lag(member, after: count, of: blocks, from: from, framing, now: now)
                    case .broken: remove(member)
                    }
                }
            }
            // Behind them, so that it is not counted for those that have left meanwhile.
            ledger?.add(.init(events: events, bytes: size), toGroup: Int32(group), .init(framing, profile ?? .standard))
        }
    }

    func blocks(of entries: ShortList<Feed.Entry>) -> ShortList<Block> {
        var blocks = ShortList<Block>()
        for entry in entries { blocks.append((entry.frame.bytes, .at(entry.mark))) }
        return blocks
    }

    /// Those of some blocks that a profile has.
    func blocks(_ blocks: ShortList<Block>, for profile: StreamProfile) -> ShortList<Block> {
        guard !profile.hasControls, blocks.contains(where: \.bytes.isControl) else { return blocks }
        var own = ShortList<Block>()
        for block in blocks where !block.bytes.isControl { own.append(block) }
        return own
    }

    /// The bytes of all blocks, one after the other. One block is not copied.
    func joined(_ blocks: ShortList<Block>, _ framing: Framing) -> ByteBuffer {
        guard var bytes = blocks.first?.bytes.framed(as: framing) else { return ByteBuffer() }
        guard blocks.count > 1 else { return bytes }
        bytes.reserveCapacity(blocks.reduce(0) { $0 + $1.bytes.count(as: framing) })
        for block in blocks.dropFirst() { bytes.writeImmutableBuffer(block.bytes.framed(as: framing)) }
        return bytes
    }

    /// The state of a member whose socket has taken only some of the bytes of blocks.
    ///
    /// - Returns: how many events were sent, where the member stands, and what has to be sent before. A block that was begun
    ///   must be ended, even if the window moves on; the cursor finds what follows it.
    func sent(
        _ count: Int, of blocks: ShortList<Block>, from cursor: Cursor, _ framing: Framing
    ) -> (events: Int, cursor: Cursor, rest: [Unsent]) {
        var (left, events, cursor) = (count, 0, cursor)
        for block in blocks {
            guard left > 0 else { break }
            cursor = block.cursor
            let size = block.bytes.count(as: framing)
            if left < size {
                var rest = Unsent(block.bytes, framing)
                rest.drop(left)
                return (events, cursor, [rest])
            }
            left -= size
            if block.bytes.isEvent { events += 1 }
        }
        return (events, cursor, [])
    }

    /// Makes a straggler of a member whose socket has taken only some bytes of what the group was sent.
    private mutating func lag(
        _ index: Int32, after count: Int, of blocks: ShortList<Block>, from: Mark, _ framing: Framing,
        now: ContinuousClock.Instant
    ) {
        let sent = sent(count, of: blocks, from: .at(from), framing)
        countSent(count, deliveries: sent.events, for: index)
        leaveGroup(index)
        let straggler = Straggler(cursor: sent.cursor)
        straggler.unsent = sent.rest
        stragglers[index] = straggler
        block(index, now: now)
    }

    /// Moves the stragglers that waited for the group to come this far.
    private mutating func wakeWaiting(in group: Int) {
        guard groups[group]?.waiting.isEmpty == false, let waiting = groups[group]?.waiting,
            let mark = groups[group]?.mark
        else { return }
        // Usually none is left, and the group should not keep the memory.
        groups[group]?.waiting = waiting.filter { $0.sequence > mark.sequence }
        for (index, sequence) in waiting where sequence <= mark.sequence {
            stragglers[index]?.phase = .moving
            move(index)
        }
    }
}

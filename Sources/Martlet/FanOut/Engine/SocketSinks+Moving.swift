// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension SocketSinks {
    // MARK: One member

    /// The socket of a member takes bytes again, or the member is new.
    mutating func resume(_ token: Token, now: ContinuousClock.Instant) {
        guard let index = index(of: token) else { return }
        stragglers[index]?.blockedSince = nil
        if case .ending = stragglers[index]?.phase { finish(index, now: now) } else { move(index, now: now) }
    }

    /// A client has sent something, or closed its side.
    mutating func receive(_ token: Token) {
        guard let index = index(of: token), !transport.discardInput(of: members[Int(index)].socket) else { return }
        remove(index)
    }

    /// The answer to what a member had asked for.
    mutating func finishReading(
        _ token: Token, _ request: Replayer.Request, _ result: Result<Replayer.Slice, any Error>,
        now: ContinuousClock.Instant
    ) {
        guard let index = index(of: token), case .reading = stragglers[index]?.phase else { return }
        stragglers[index]?.phase = .moving
        // A log that is away is asked again with the next heartbeat.
        guard case .success(let slice) = result else { return }
        var unsent = slice.frames.map(\.bytes)
        if slice.gap != nil { hub.metrics.gap(.trimmed) }
        if let gap = slice.gap { unsent.insert(.gap(Gap(reason: .trimmed, from: gap)), at: 0) }
        // It may have been begun with a comment meanwhile.
        stragglers[index]?.unsent += unsent
        stragglers[index]?.cursor = slice.isComplete ? .at(request.through) : .after(slice.end)
        move(index, now: now)
    }

    /// Moves a straggler as far as its socket takes it.
    mutating func move(_ index: Int32, now: ContinuousClock.Instant) {
        while flush(index, now: now), let straggler = stragglers[index] {
            guard case .moving = straggler.phase, let group = groups[Int(members[Int(index)].group)] else { return }
            switch hub.step(group.feed, straggler.cursor) {
            case .deliver(let entries, let mark, _):
                stragglers[index]?.unsent = entries.map(\.frame.bytes)[...]
                stragglers[index]?.cursor = .at(mark)
            case .replay(let position, let mark):
                stragglers[index]?.phase = .reading
                return read(
                    Replayer.Request(selection: group.selection, after: position, through: mark), token(of: index))
            case .caughtUp(let mark):
                stragglers[index]?.cursor = .at(mark)
                return join(index, at: mark)
            case .ahead:
                return wait(index, until: .zero)
            }
        }
    }

    /// Joins the group at once if it stands at the same mark, else with its next pass.
    private mutating func join(_ index: Int32, at mark: Mark) {
        let group = Int(members[Int(index)].group)
        guard let state = groups[group] else { return }
        if state.chunked.isEmpty, state.plain.isEmpty, state.waiting.isEmpty { groups[group]?.mark = mark }
        if groups[group]?.mark.sequence == mark.sequence {
            joinGroup(index)
        } else {
            wait(index, until: mark.sequence)
        }
    }

    /// Has a straggler moved again by the pass of its group that comes to this number, or further.
    private mutating func wait(_ index: Int32, until sequence: SequenceNumber) {
        stragglers[index]?.phase = .waiting
        groups[Int(members[Int(index)].group)]?.waiting.append((index, sequence))
    }

    /// Sends what a straggler has not been sent yet. Returns whether that was all and the member is still there.
    mutating func flush(_ index: Int32, now: ContinuousClock.Instant) -> Bool {
        guard let straggler = stragglers[index] else { return false }
        guard straggler.blockedSince == nil else { return false }
        guard !straggler.unsent.isEmpty else { return true }
        let member = members[Int(index)]
        scratch.removeAll(keepingCapacity: true)
        for bytes in straggler.unsent { scratch += bytes.framed(as: member.framing).readableBytesView }
        let bytes = scratch
        let result = bytes.withUnsafeBytes {
            transport.send(UnsafeRawBufferPointer(rebasing: $0[straggler.offset...]), to: member.socket)
        }
        guard case .sent(let count) = result else {
            remove(index)
            return false
        }
        tally.bytes += count
        var offset = straggler.offset + count
        var unsent = straggler.unsent
        while let first = unsent.first, offset >= first.count(as: member.framing) {
            offset -= first.count(as: member.framing)
            if first.isEvent { tally.deliveries += 1 }
            unsent.removeFirst()
        }
        stragglers[index]?.unsent = unsent
        stragglers[index]?.offset = offset
        if unsent.isEmpty { return true }
        stragglers[index]?.blockedSince = now
        return false
    }

    // MARK: A group

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
            let steps = hub.steps(some.map { _, group in (group.feed, .at(group.mark)) })
            for ((index, group), step) in zip(some, steps) {
                group.isPending = !advance(Int(index), by: step, now: now)
                if group.isPending { pending.append(index) }
            }
        }
    }

    private static var groupsPerLock: Int { 64 }

    /// What all groups that are pending have been sent; `nil` where there are none.
    var slowestPending: SequenceNumber? { pending.lazy.compactMap { groups[Int($0)]?.mark.sequence }.min() }

    /// Sends a slice of its feed to everybody who stands where the group stands. Returns whether that was all.
    mutating func advance(_ index: Int, now: ContinuousClock.Instant) -> Bool {
        guard let group = groups[index] else { return true }
        return advance(index, by: hub.step(group.feed, .at(group.mark)), now: now)
    }

    private mutating func advance(_ index: Int, by step: Step, now: ContinuousClock.Instant) -> Bool {
        guard let group = groups[index] else { return true }
        let from = group.mark
        let isAll: Bool
        switch step {
        case .deliver(let entries, let mark, let isLast):
            group.mark = mark
            var blocks = ShortList<Block>()
            for entry in entries { blocks.append((entry.frame.bytes, entry.mark)) }
            send(blocks, from: from, to: index, now: now)
            if let time = entries.first?.frame.time { tally.oldest = min(tally.oldest ?? time, time) }
            isAll = isLast
        case .caughtUp(let mark):
            group.mark = mark
            isAll = true
        case .replay, .ahead:
            // The place is gone from the window. Whoever stands there reads history; the group waits at the end.
            group.mark = hub.tail
            for member in Array(group.chunked) + group.plain {
                leaveGroup(member)
                stragglers[member] = Straggler(cursor: .at(from))
                move(member, now: now)
            }
            isAll = true
        }
        wakeWaiting(in: index, now: now)
        return isAll
    }

    /// What is sent to a group, and where that leads.
    typealias Block = (bytes: WireBytes, mark: Mark)

    /// Sends blocks to all who stand where their group stands.
    ///
    /// - Parameters:
    ///   - blocks: What to send.
    ///   - from: Where they stand.
    mutating func send(
        _ blocks: ShortList<Block>, from: Mark, to group: Int, now: ContinuousClock.Instant
    ) {
        for framing in [Framing.chunked, .plain] {
            guard let list = groups[group]?.list(framing), !list.isEmpty else { continue }
            let bytes = joined(blocks, framing)
            let events = blocks.count { $0.bytes.isEvent }
            bytes.withUnsafeReadableBytes { bytes in
                // Members that leave the list meanwhile are replaced by its last, which has had its turn.
                for member in list.reversed() {
                    switch transport.send(bytes, to: members[Int(member)].socket) {
                    case .sent(bytes.count):
                        tally.bytes += bytes.count
                        tally.deliveries += events
                    case .sent(let count): lag(member, after: count, of: blocks, from: from, framing, now: now)
                    case .broken: remove(member)
                    }
                }
            }
        }
    }

    /// The bytes of all blocks, one after the other. One block is not copied.
    private func joined(_ blocks: ShortList<Block>, _ framing: Framing) -> ByteBuffer {
        guard var bytes = blocks.first?.bytes.framed(as: framing) else { return ByteBuffer() }
        guard blocks.count > 1 else { return bytes }
        bytes.reserveCapacity(blocks.reduce(0) { $0 + $1.bytes.count(as: framing) })
        for block in blocks.dropFirst() { bytes.writeImmutableBuffer(block.bytes.framed(as: framing)) }
        return bytes
    }

    /// Makes a straggler of a member whose socket has taken only some bytes of what the group was sent.
    private mutating func lag(
        _ index: Int32, after count: Int, of blocks: ShortList<Block>, from: Mark, _ framing: Framing,
        now: ContinuousClock.Instant
    ) {
        tally.bytes += count
        var straggler = Straggler(cursor: .at(from), offset: count, blockedSince: now)
        for block in blocks {
            let size = block.bytes.count(as: framing)
            guard straggler.offset > 0 else { break }
            straggler.cursor = .at(block.mark)
            // A frame that was begun has to be ended, whatever becomes of the window; the cursor finds what follows it.
            if straggler.offset < size {
                straggler.unsent = [block.bytes]
                break
            }
            straggler.offset -= size
            if block.bytes.isEvent { tally.deliveries += 1 }
        }
        leaveGroup(index)
        stragglers[index] = straggler
    }

    /// Moves those who have waited for the group to come this far.
    private mutating func wakeWaiting(in group: Int, now: ContinuousClock.Instant) {
        guard groups[group]?.waiting.isEmpty == false, let waiting = groups[group]?.waiting,
            let mark = groups[group]?.mark
        else { return }
        // Usually nobody is left, and the group shall not hold on to the memory.
        groups[group]?.waiting = waiting.filter { $0.sequence > mark.sequence }
        for (index, sequence) in waiting where sequence <= mark.sequence {
            stragglers[index]?.phase = .moving
            move(index, now: now)
        }
    }
}

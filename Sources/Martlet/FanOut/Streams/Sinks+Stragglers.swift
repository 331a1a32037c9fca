// SPDX-License-Identifier: Apache-2.0

import DequeModule
import NIOCore

extension Sinks {
    enum Phase {
        case moving
        /// Waits for a slice of history.
        case reading
        /// Is written its last bytes.
        case ending
        /// Waits for its client to close its side, at most until then.
        case lingering(until: ContinuousClock.Instant)
        /// Waits for its group.
        case waiting
    }

    /// A block that has to be sent, or the rest of one.
    struct Unsent {
        var bytes: ByteBuffer
        var isEvent: Bool
        /// Whether some of it was sent.
        var isBegun = false

        init(_ block: WireBytes, _ framing: Framing) {
            bytes = block.framed(as: framing)
            isEvent = block.isEvent
        }

        /// The rest of what was begun.
        init(rest bytes: ByteBuffer, isEvent: Bool = true) {
            self.bytes = bytes
            self.isEvent = isEvent
            isBegun = true
        }

        mutating func drop(_ count: Int) {
            bytes.moveReaderIndex(forwardBy: count)
            if count > 0 { isBegun = true }
        }
    }

    /// An object, because it is looked at several times in each turn, and copying it would touch all that it holds.
    final class Straggler {
        /// Where it stands once it has been sent what is unsent.
        var cursor: Cursor
        /// Bytes that must be sent even if window and history move on: the rest of a block, and blocks that are in no log.
        var unsent: [Unsent] = []
        /// History that it is being sent; its cursor is before it.
        var slice: ReplaySlice?
        /// How many bytes of the slice it has been sent.
        var sliceOffset = 0
        /// Where it has asked for the slice. Given up when it has been sent what its socket takes of it.
        var place: Replayer.Place?
        var phase = Phase.moving
        /// Whether it waits for its turn to be sent something.
        var isInLine = false
        /// Since when its socket takes nothing; `nil` while it does.
        var blockedSince: ContinuousClock.Instant?
        /// Why its stream ends, where it does.
        var reason = StreamEnd.client

        init(cursor: Cursor) { self.cursor = cursor }

        /// Lets go of the slice, to read it again from the first event that was not begun. Returns whether one was.
        func dropSlice() -> Bool {
            guard let slice else { return false }
            defer { (self.slice, sliceOffset) = (nil, 0) }
            let count = slice.count(in: sliceOffset)
            let isBegun = sliceOffset > slice.length(of: count)
            if isBegun { unsent.append(Unsent(rest: slice.bytes(from: sliceOffset, through: count + 1))) }
            let complete = isBegun ? count + 1 : count
            if complete > 0 { cursor = slice.cursor(after: complete) }
            return isBegun
        }
    }

    // MARK: One straggler

    /// The socket of a member takes bytes again, or the member is new.
    mutating func resume(_ token: SinkToken, now: ContinuousClock.Instant) {
        guard let index = index(of: token) else { return }
        stragglers[index]?.blockedSince = nil
        switch stragglers[index]?.phase {
        case .ending: finish(index, now: now)
        // A heartbeat that was begun.
        case .reading: _ = flush(index, now: now)
        default: move(index)
        }
    }

    /// The socket of a member takes no bytes any more.
    mutating func stall(_ token: SinkToken, now: ContinuousClock.Instant) {
        guard let index = index(of: token) else { return }
        if stragglers[index] == nil, let mark = groups[Int(members[Int(index)].group)]?.mark {
            leaveGroup(index)
            stragglers[index] = Straggler(cursor: .at(mark))
        }
        if stragglers[index]?.blockedSince == nil { block(index, now: now) }
    }

    /// A client has sent something, or closed its side.
    mutating func receive(_ token: SinkToken) {
        guard let index = index(of: token), !transport.discardInput(of: members[Int(index)].socket) else { return }
        remove(index)
    }

    /// The answer to what a member had asked for.
    mutating func finishReading(
        _ token: SinkToken, _ result: Result<ReplaySlice, any Error>, now: ContinuousClock.Instant
    ) {
        guard let index = index(of: token), case .reading = stragglers[index]?.phase else { return }
        stragglers[index]?.phase = .moving
        // It is to receive something else.
        if makeChanges(of: index, now: now) { return }
        guard case .success(let slice) = result else {
            // A log that is away is asked again with the next heartbeat.
            stragglers[index]?.place = nil
            return
        }
        take(slice, for: index)
        if stragglers[index]?.blockedSince == nil { move(index) } else { holdBack(index) }
    }

    private mutating func take(_ slice: ReplaySlice, for index: Int32) {
        if let gap = slice.gap, !tell(gap, to: index) { return }
        stragglers[index]?.slice = slice
    }

    /// Sends a gap. Returns whether the straggler goes on behind it; otherwise it begins again, with current values.
    private mutating func tell(_ gap: Gap, to index: Int32) -> Bool {
        fanOut.metrics.gap(gap.reason)
        let member = members[Int(index)]
        if member.profile.hasControls {
            // It may have been begun with a comment meanwhile.
            let block = member.hasValues ? WireBytes.gapBeforeValues(gap) : .gap(gap)
            stragglers[index]?.unsent.append(Unsent(block, member.framing))
        }
        if member.hasValues { stragglers[index]?.cursor = .values(after: .zero, through: fanOut.tail, .values) }
        return !member.hasValues
    }

    /// Moves a straggler as far as nothing has to be sent to it. For that it waits for its turn.
    mutating func move(_ index: Int32) {
        guard let straggler = stragglers[index], case .moving = straggler.phase, straggler.blockedSince == nil,
            let group = groups[Int(members[Int(index)].group)]
        else { return }
        guard straggler.unsent.isEmpty, straggler.slice == nil else { return lineUp(index) }
        switch fanOut.step(group.feed, straggler.cursor) {
        case .deliver, .values:
            lineUp(index)
        case .replay(let position, let mark):
            let request = request(for: index, group.selection, after: position, through: mark)
            // It reads that itself, in its turn.
            if fanOut.canReadNow(request) { return lineUp(index) }
            stragglers[index]?.phase = .reading
            let place = read(request, token(of: index))
            stragglers[index]?.place = place
        case .skip(let mark):
            if tell(Gap(reason: .skipped, from: mark.position), to: index) { stragglers[index]?.cursor = .at(mark) }
            lineUp(index)
        case .caughtUp(let mark):
            join(index, at: mark)
        case .finished(let mark):
            conclude(index, at: mark, now: .now)
        case .ahead:
            wait(index, until: .zero)
        }
    }

    private func request(
        for index: Int32, _ selection: Selection, after position: Position, through mark: Mark
    ) -> Replayer.Request {
        let member = members[Int(index)]
        return Replayer.Request(
            selection: selection, after: position, through: mark, framing: member.framing,
            hasControls: member.profile.hasControls)
    }

    /// Joins the group at once if it stands at the same mark, else with its next pass.
    private mutating func join(_ index: Int32, at mark: Mark) {
        let group = Int(members[Int(index)].group)
        guard let state = groups[group] else { return }
        stragglers[index]?.cursor = .at(mark)
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

    // MARK: Turns

    private mutating func lineUp(_ index: Int32) {
        guard stragglers[index]?.isInLine == false else { return }
        stragglers[index]?.isInLine = true
        line.append(token(of: index))
    }

    /// Sends a slice each to those whose turn it is, until their time is over; to one at least.
    ///
    /// - Parameters:
    ///   - start: When live delivery began that has just ended.
    ///   - clock: Says what time it is.
    mutating func takeTurns(
        liveSince start: ContinuousClock.Instant, clock: () -> ContinuousClock.Instant = { .now }
    ) {
        var now = clock()
        let end = Turns.end(liveSince: start, now: now)
        while now < end, let token = line.popFirst() {
            takeTurn(token, now: now)
            now = clock()
        }
    }

    private mutating func takeTurn(_ token: SinkToken, now: ContinuousClock.Instant) {
        guard let index = index(of: token) else { return }
        stragglers[index]?.isInLine = false
        guard case .moving = stragglers[index]?.phase else { return }
        if flush(index, now: now) { sendNext(index, now: now) }
        // Only now, when nothing here holds the slice any more.
        stragglers[index]?.place = nil
        move(index)
    }

    private mutating func sendNext(_ index: Int32, now: ContinuousClock.Instant) {
        guard let straggler = stragglers[index], let group = groups[Int(members[Int(index)].group)] else { return }
        if let slice = straggler.slice { return send(slice, from: straggler.sliceOffset, to: index, now: now) }
        switch fanOut.step(group.feed, straggler.cursor) {
        case .deliver(let entries, let mark, _):
            let some = blocks(blocks(of: entries), for: members[Int(index)].profile)
            send(some, through: .at(mark), from: straggler.cursor, to: index, deliveries: some.count, now: now)
        case .values(let values, let next, let ends):
            guard case .values(_, let mark, let opening) = straggler.cursor else { return }
            var blocks = ShortList<Block>()
            for value in values {
                let cursor = Cursor.values(after: value.sequence, through: mark, opening)
                blocks.append((WireBytes(valueOf: value.frame.record), cursor))
            }
            send(blocks, through: next, from: straggler.cursor, to: index, deliveries: values.count, now: now)
            let hasControls = members[Int(index)].profile.hasControls
            guard hasControls, stragglers[index]?.cursor == .at(mark) else { return }
            // A client that is cut off before the id begins again.
            let last = ends.map { WireBytes(valueOf: $0) } + (opening == .values ? [.id(mark.position)] : [])
            stragglers[index]?.unsent += last.map { Unsent($0, members[Int(index)].framing) }
            _ = flush(index, now: now)
        case .replay(let position, let mark):
            let request = request(for: index, group.selection, after: position, through: mark)
            guard let slice = lastRead?.request == request ? lastRead?.slice : fanOut.readNow(request) else { return }
            lastRead = (request, slice)
            take(slice, for: index)
            if flush(index, now: now), stragglers[index]?.slice != nil { send(slice, from: 0, to: index, now: now) }
        case .skip, .caughtUp, .ahead, .finished: break
        }
    }

    private mutating func send(
        _ slice: ReplaySlice, from offset: Int, to index: Int32, now: ContinuousClock.Instant
    ) {
        let result = slice.bytes.withUnsafeBytes {
            transport.send(UnsafeRawBufferPointer(rebasing: $0[offset...]), to: members[Int(index)].socket)
        }
        guard case .sent(let count) = result else { return remove(index) }
        let events = slice.count(in: offset + count) - slice.count(in: offset)
        countSent(count, deliveries: events, replayed: events, for: index)
        tally.replayedBytes += count
        stragglers[index]?.sliceOffset += count
        if offset + count < slice.bytes.count { return block(index, now: now) }
        stragglers[index]?.cursor = slice.end
        stragglers[index]?.slice = nil
        stragglers[index]?.sliceOffset = 0
    }

    /// Ends the stream of a member that has received everything that there will ever be. If it comes back with the id of
    /// the mark, it is told so.
    mutating func conclude(_ index: Int32, at mark: Mark, now: ContinuousClock.Instant) {
        let member = members[Int(index)]
        let last = member.profile.hasControls ? [Unsent(.id(mark.position), member.framing)] : []
        end(token(of: index), because: .ended, retry: fanOut.retry(), last: last, now: now)
    }

    private mutating func send(
        _ blocks: ShortList<Block>, through end: Cursor, from cursor: Cursor, to index: Int32, deliveries: Int,
        now: ContinuousClock.Instant
    ) {
        guard !blocks.isEmpty else {
            stragglers[index]?.cursor = end
            return
        }
        let member = members[Int(index)]
        let bytes = joined(blocks, member.framing)
        let result = bytes.withUnsafeReadableBytes { transport.send($0, to: member.socket) }
        guard case .sent(let count) = result else { return remove(index) }
        guard count < bytes.readableBytes else {
            countSent(count, deliveries: deliveries, for: index)
            stragglers[index]?.cursor = end
            return
        }
        let sent = sent(count, of: blocks, from: cursor, member.framing)
        countSent(count, deliveries: sent.events, for: index)
        stragglers[index]?.cursor = sent.cursor
        stragglers[index]?.unsent = sent.rest
        block(index, now: now)
    }

    /// Sends what a straggler has to be sent before all else. Returns whether that was all and the member is still there.
    mutating func flush(_ index: Int32, now: ContinuousClock.Instant) -> Bool {
        guard var rest = stragglers[index]?.unsent[...], stragglers[index]?.blockedSince == nil else { return false }
        while let block = rest.first {
            let result = block.bytes.withUnsafeReadableBytes { transport.send($0, to: members[Int(index)].socket) }
            guard case .sent(let count) = result else {
                remove(index)
                return false
            }
            let isAll = count == block.bytes.readableBytes
            countSent(count, deliveries: isAll && block.isEvent ? 1 : 0, for: index)
            guard isAll else {
                rest[rest.startIndex].drop(count)
                stragglers[index]?.unsent = Array(rest)
                self.block(index, now: now)
                return false
            }
            rest.removeFirst()
        }
        stragglers[index]?.unsent = []
        return true
    }

    /// The socket of a straggler is full.
    mutating func block(_ index: Int32, now: ContinuousClock.Instant) {
        stragglers[index]?.blockedSince = now
        if !members[Int(index)].watchesWriting {
            members[Int(index)].watchesWriting = true
            transport.watchWriting(members[Int(index)].socket, token(of: index))
        }
        holdBack(index)
    }

    /// A straggler cannot take what it has of its slice. It keeps the rest where there is room.
    private mutating func holdBack(_ index: Int32) {
        guard let slice = stragglers[index]?.slice else { return }
        if !slice.mayBeKept, stragglers[index]?.dropSlice() == true { tally.replayed += 1 }
        stragglers[index]?.place = nil
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A change of what an open stream selects, which waits for the shard that writes the stream.
struct StreamChange: Sendable {
    /// Returns the selection that replaces another. An error is the answer, and the stream goes on as it was.
    let select: @Sendable (Selection) throws -> Selection
    /// When the right to the new selection ends; `nil`: never.
    let end: ContinuousClock.Instant?
    let answer: @Sendable (Result<ChangedStream, any Error>) -> Void
}

/// What a stream selects from some place on.
package struct ChangedStream: Sendable {
    package let selection: Selection
    /// Everything that the stream selects now is written to it as far as it comes behind this position.
    package let position: Position
    /// Those of its topics that have ended.
    package let ended: EndedTopics
}

/// Why a stream was not changed.
package enum StreamChangeError: Error, Hashable {
    /// It has ended, or is ending.
    case ended
    /// It is still being sent the current values.
    case beginning
    /// ``Lease/mostChanges`` of it are waiting.
    case tooMany
}

extension Sinks {
    /// Makes the changes that wait, in their order. A stream for which history is being read has its turn when that is there.
    ///
    /// - Returns: whether there were any.
    @discardableResult
    mutating func makeChanges(of index: Int32, now: ContinuousClock.Instant) -> Bool {
        if case .reading = stragglers[index]?.phase { return false }
        guard let lease = leases[index]?.lease, case let changes = lease.takeChanges(), !changes.isEmpty else {
            return false
        }
        for change in changes {
            // Outside of history there may be something that the group is still to be sent.
            let group = Int(members[Int(index)].group)
            if stragglers[index] == nil, groups[group]?.isPending == true { _ = advance(group, now: now) }
            change.answer(Result { try make(change, of: index, with: lease) })
        }
        return true
    }

    /// Has a member go on with another selection, from where it stands.
    private mutating func make(_ change: StreamChange, of index: Int32, with lease: Lease) throws -> ChangedStream {
        guard leases[index]?.lease === lease else { throw StreamChangeError.ended }
        switch stragglers[index]?.phase {
        case .ending, .lingering: throw StreamChangeError.ended
        default: break
        }
        if case .values = stragglers[index]?.cursor { throw StreamChangeError.beginning }
        let selection = try change.select(lease.selection)
        let (feed, _) = try fanOut.open(selection)
        defer { fanOut.close(feed) }
        let old = members[Int(index)].group
        let mark = groups[Int(old)]?.mark ?? fanOut.tail
        leaveGroup(index)
        let straggler = stragglers[index] ?? Straggler(cursor: .at(mark))
        // What is begun is ended; the rest is read again with the new selection.
        if straggler.dropSlice() { tally.replayed += 1 }
        straggler.place = nil
        straggler.phase = .moving
        stragglers[index] = straggler
        let new = groupIndex(of: feed) ?? makeGroup(of: feed, selection)
        groups[Int(new)]?.memberCount += 1
        members[Int(index)].group = new
        leave(old)
        lease.selection = selection
        lease.renew(until: change.end)
        let position =
            switch straggler.cursor {
            case .at(let mark), .values(_, let mark, _): mark.position
            case .after(let position): position
            }
        move(index)
        return ChangedStream(selection: selection, position: position, ended: fanOut.ends(of: selection))
    }
}

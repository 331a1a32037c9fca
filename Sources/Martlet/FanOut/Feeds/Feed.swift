// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// Names a feed for as long as the hub lives; never given twice.
struct FeedID: Hashable, Sendable {
    var rawValue: UInt64

    init(rawValue: UInt64) { self.rawValue = rawValue }

    /// - Parameters:
    ///   - index: Where the feed is kept; another may be there once it is gone.
    ///   - generation: How many feeds were kept there before.
    init(index: Int, generation: UInt32) {
        self.init(rawValue: UInt64(generation) << 32 | UInt64(UInt32(index)))
    }

    var index: Int { Int(UInt32(truncatingIfNeeded: rawValue)) }
    var generation: UInt32 { UInt32(rawValue >> 32) }
}

/// Hears when feeds have grown. Called from any thread, without a lock held, once for each group of published events.
protocol FeedListener: AnyObject, Sendable {
    /// Whether publishers have to wait when it does not keep up, and it says how far it has come.
    var holdsUpPublishers: Bool { get }
    func feedsGrew(_ feeds: [FeedID])
}

extension FeedListener {
    var holdsUpPublishers: Bool { false }
}

/// The events that one selection picks from the log, as far as they are in the window. All subscribers that select the
/// same share it.
///
/// A value in the array of its table, and small: there may be one for each subscriber. An object of its own among what
/// accepting a connection needs for a moment would keep a page of memory from being given back.
struct Feed {
    struct Entry: Sendable {
        var sequence: SequenceNumber
        var frame: Frame

        var mark: Mark { Mark(sequence: sequence, position: frame.record.position) }
    }

    let id: FeedID
    let selection: Selection
    /// Every selected event after this mark is among the entries.
    private(set) var coveredFrom: Mark
    private(set) var entries: Deque<Entry> = []
    /// How many subscriptions use the feed. It is freed with the last one.
    var users: Int32 = 0
    /// How many of its topics have not ended; -1 for a selection with patterns, which never ends.
    var openTopics: Int32 = -1
    /// Whether a topic has ended or begun again since they were counted.
    var mustCountTopics = false
    /// Whether what is missing in memory was not dropped for room, so that history has to say what it was.
    private var isRestarted = false
    /// The last group of events that reached it.
    private var group: UInt64 = 0
    private(set) var listeners = ShortList<(listener: any FeedListener, uses: Int)>()

    init(id: FeedID = FeedID(rawValue: 0), selection: Selection, coveredFrom: Mark) {
        self.id = id
        self.selection = selection
        self.coveredFrom = coveredFrom
    }

    /// Whether nothing comes any more: all topics have ended.
    var isFinished: Bool { openTopics == 0 }

    mutating func append(_ entry: Entry) { entries.append(entry) }

    /// Whether it is the first time that the feed is reached in this group of events.
    mutating func isReachedFirst(in group: UInt64) -> Bool {
        defer { self.group = group }
        return group != self.group
    }

    /// Drops the oldest entry, which the window has no room for.
    mutating func dropFirst() {
        coveredFrom = entries.removeFirst().mark
        isRestarted = false
    }

    /// Forgets all entries: the log lost events before this mark before the node had read them.
    mutating func restart(at mark: Mark) {
        entries = []
        coveredFrom = mark
        isRestarted = true
    }

    mutating func add(_ listener: any FeedListener) {
        if let index = listeners.firstIndex(where: { $0.listener === listener }) {
            listeners[index].uses += 1
        } else {
            listeners.append((listener, 1))
        }
    }

    mutating func remove(_ listener: any FeedListener) {
        guard let index = listeners.firstIndex(where: { $0.listener === listener }) else { return }
        listeners[index].uses -= 1
        if listeners[index].uses == 0 { listeners.swapRemove(at: index) }
    }
}

extension Feed {
    /// - Parameters:
    ///   - tail: The end of the log as this node knows it.
    ///   - covers: ``Log/covers(_:_:)``.
    ///   - skips: Whether a subscriber of a selection that falls out of the window goes on at the tail, and does not read
    ///     history.
    func step(
        _ cursor: Cursor, tail: Mark, limit: SliceLimit, covers: (Position, Position) -> Bool,
        skips: (Selection) -> Bool = { _ in false }
    ) -> Step {
        switch cursor {
        case .at(let mark) where mark.sequence < coveredFrom.sequence:
            return !isRestarted && skips(selection)
                ? .skip(to: tail) : .replay(after: mark.position, through: coveredFrom)
        case .at(let mark):
            return take(after: mark.sequence, tail: tail, limit: limit)
        case .after(let position):
            return place(position, tail: tail, limit: limit, covers: covers)
        case .values:
            return .caughtUp(tail)
        }
    }

    private func take(after sequence: SequenceNumber, tail: Mark, limit: SliceLimit) -> Step {
        var taken = ShortList<Entry>()
        var bytes = 0
        for entry in entries[firstIndex { $0.sequence > sequence }...] where !entry.frame.isSkipped {
            guard limit.admits(entry.frame.byteCount, behind: taken.count, of: bytes) else { break }
            bytes += entry.frame.byteCount
            taken.append(entry)
        }
        guard let last = taken.last else { return isFinished ? .finished(tail) : .caughtUp(tail) }
        let isLast = last.sequence == entries.last?.sequence
        // Behind the last entry of a finished feed there is the end.
        return .deliver(taken, mark: isLast ? tail : last.mark, isLast: isLast && !isFinished)
    }

    /// Finds the first mark that covers the position. A position that *is* a mark goes on live from there; whatever is
    /// between the position and that mark is read from the log, which alone knows what it is.
    private func place(
        _ position: Position, tail: Mark, limit: SliceLimit, covers: (Position, Position) -> Bool
    ) -> Step {
        guard covers(tail.position, position) else { return .ahead }
        let index = firstIndex { covers($0.mark.position, position) }
        var mark: Mark =
            if covers(coveredFrom.position, position) { coveredFrom } else if index < entries.endIndex {
                entries[index].mark
            } else { tail }
        guard covers(position, mark.position) else { return .replay(after: position, through: mark) }
        // What was announced behind the event of this position may not have been seen.
        if index < entries.endIndex, entries[index].sequence == mark.sequence, entries[index].frame.isAnnounced {
            mark.sequence = mark.sequence.previous
        }
        return take(after: mark.sequence, tail: tail, limit: limit)
    }

    /// The index of the first entry that fulfils a condition that all entries after it fulfil too.
    private func firstIndex(where condition: (Entry) -> Bool) -> Int {
        var low = entries.startIndex
        var high = entries.endIndex
        while low < high {
            let middle = (low + high) / 2
            if condition(entries[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

/// Where a subscriber stands in its feed. It is all that a subscriber owns.
enum Cursor: Hashable, Sendable {
    /// Has everything up to this mark.
    case at(Mark)
    /// Came with a position, or is reading history: where that is in the feed is found when it moves.
    case after(Position)
    /// Came for the current values, and has those up to a number. Then it stands at the mark.
    case values(after: SequenceNumber, through: Mark, Opening)

    /// What a newcomer receives first.
    enum Opening: Hashable, Sendable {
        /// The values, then the ends of topics.
        case values
        /// Only the ends of topics.
        case ends
    }
}

/// The next step of a cursor. Live delivery, catching up and replay are one question, asked again until there is nothing
/// more.
enum Step {
    /// Take these, the oldest first, and stand at the mark. The last of them: there is nothing more.
    case deliver(ShortList<Feed.Entry>, mark: Mark, isLast: Bool)
    /// The next events are no longer in the window: read the log after one position and through the mark.
    case replay(after: Position, through: Mark)
    /// The next events are no longer in the window, and are not read again: stand at the mark, behind a gap.
    case skip(to: Mark)
    /// There is nothing more. The mark is the end of the log as this node knows it.
    case caughtUp(Mark)
    /// There is nothing more, and never will be: all topics have ended.
    case finished(Mark)
    /// Take these values, and stand at the cursor. Behind the last of them come the topics that have ended, and the id of
    /// the mark where the stream goes on.
    case values([StateTable.Value], next: Cursor, ends: [Record])
    /// The position is ahead of this node. Ask again when it has read on.
    case ahead
}

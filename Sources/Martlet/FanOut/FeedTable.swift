// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// All feeds of this node and the window that they share: the state that publishing and subscribing meet in;
/// the hub keeps it behind one lock and does everything that it returns outside that lock.
struct FeedTable {
    /// The end of the log as this node knows it.
    private(set) var tail: Mark
    /// The feeds, each at the index of its id.
    private var feeds: [Feed?] = []
    private var generations: [UInt32] = []
    private var free: [Int] = []
    private var ids: [Selection: FeedID] = [:]
    private var index = TopicIndex()
    private var window: Window
    private var progress = ShardProgress()
    /// How many groups of events there were.
    private var group: UInt64 = 0

    /// What a frame costs in every feed that holds it; an estimate.
    static let bytesPerFeed = 48

    init(tail: Position, windowBytes: Int) {
        self.tail = Mark(sequence: .zero, position: tail)
        self.window = Window(capacity: windowBytes)
    }

    var feedCount: Int { ids.count }
    var selectorCount: Int { index.selectorCount }
    var windowByteCount: Int { window.byteCount }
    /// How many bytes of frames the slowest shard has not written yet.
    var lag: Int { progress.slowest.map(window.byteCount(after:)) ?? 0 }

    /// Numbers what the node has read from the log and gives it to the feeds that select it.
    ///
    /// - Returns: whom to tell about which feeds.
    mutating func append(_ slice: Slice) -> [(listener: any FeedListener, feeds: [FeedID])] {
        let before = tail.sequence
        let now = ContinuousClock.now
        group += 1
        var grown: [FeedID] = []
        if let gap = slice.gap { restart(at: gap, &grown) }
        for record in slice.records { append(record, time: now, &grown) }
        tail.position = slice.end
        return tell(grown, before: before)
    }

    /// Gives the feeds that select it an event that is in no log. It stands at the tail: who resumes from it resumes from
    /// what was read of the log before.
    mutating func inject(_ event: Event) -> [(listener: any FeedListener, feeds: [FeedID])] {
        let before = tail.sequence
        group += 1
        var grown: [FeedID] = []
        append(Record(position: tail.position, event: event), time: .now, isAnnounced: true, &grown)
        return tell(grown, before: before)
    }

    private mutating func append(
        _ record: Record, time: ContinuousClock.Instant, isAnnounced: Bool = false, _ grown: inout [FeedID]
    ) {
        tail = Mark(sequence: tail.sequence.next, position: record.position)
        let reached = reached(by: record.event)
        guard !reached.isEmpty else { return }
        let frame = Frame(record, time: time, isAnnounced: isAnnounced)
        for id in reached {
            feeds[id.index]?.append(Feed.Entry(sequence: tail.sequence, frame: frame))
            if feeds[id.index]?.isReachedFirst(in: group) == true { grown.append(id) }
        }
        let byteCount = frame.byteCount + reached.count * Self.bytesPerFeed
        window.append(Window.Item(sequence: tail.sequence, byteCount: byteCount, feeds: reached))
        while let dropped = window.popOverflow() { drop(dropped) }
    }

    /// Whom to tell about feeds that have grown.
    private mutating func tell(
        _ grown: [FeedID], before: SequenceNumber
    ) -> [(listener: any FeedListener, feeds: [FeedID])] {
        let calls = listeners(of: grown)
        for (listener, _) in calls where listener.holdsUpPublishers {
            progress.tell(ObjectIdentifier(listener), before: before, last: tail.sequence)
        }
        return calls
    }

    /// The feeds that select an event: all those of its topics, each once, as far as they may see it.
    private mutating func reached(by event: Event) -> [FeedID] {
        var reached = index.feeds(of: event.topic)
        if !event.alternates.isEmpty {
            var seen = Set(reached)
            for topic in event.alternates { reached += index.feeds(of: topic).filter { seen.insert($0).inserted } }
        }
        guard event.isPrivate else { return reached }
        return reached.filter { feeds[$0.index]?.selection.maySee(event) == true }
    }

    private mutating func drop(_ item: Window.Item) {
        for id in item.feeds {
            guard let place = place(of: id), feeds[place]?.entries.first?.sequence == item.sequence else { continue }
            feeds[place]?.dropFirst()
        }
    }

    /// A shard has written everything up to a number to everybody who takes it.
    mutating func reach(_ shard: any FeedListener, _ sequence: SequenceNumber) {
        progress.reach(ObjectIdentifier(shard), sequence)
    }

    /// The log lost events before this node had read them: everybody has to ask the log what that means for him.
    private mutating func restart(at position: Position, _ grown: inout [FeedID]) {
        tail = Mark(sequence: tail.sequence.next, position: position)
        for id in ids.values {
            for entry in feeds[id.index]?.entries ?? [] { window.release(entry.sequence) }
            feeds[id.index]?.restart(at: tail)
            if feeds[id.index]?.isReachedFirst(in: group) == true { grown.append(id) }
        }
    }

    /// Everybody who listens to any feed.
    func allListeners() -> [(listener: any FeedListener, feeds: [FeedID])] { listeners(of: Array(ids.values)) }

    private func listeners(of grown: [FeedID]) -> [(listener: any FeedListener, feeds: [FeedID])] {
        var calls: [(listener: any FeedListener, feeds: [FeedID])] = []
        var places: [ObjectIdentifier: Int] = [:]
        for id in grown {
            for (listener, _) in feeds[id.index]?.listeners ?? ShortList() {
                // Most feeds in a row have the same listener.
                if calls.last?.listener === listener {
                    calls[calls.count - 1].feeds.append(id)
                    continue
                }
                let key = ObjectIdentifier(listener)
                if let place = places[key] {
                    calls[place].feeds.append(id)
                } else {
                    places[key] = calls.count
                    calls.append((listener, [id]))
                }
            }
        }
        return calls
    }

    /// Joins the feed of a selection, which keeps everything from now on until ``close(_:)``.
    mutating func open(_ selection: Selection) -> FeedID {
        let id = ids[selection] ?? make(selection)
        feeds[id.index]?.users += 1
        return id
    }

    private mutating func make(_ selection: Selection) -> FeedID {
        let place = free.popLast() ?? feeds.count
        if place == feeds.count {
            feeds.append(nil)
            generations.append(0)
        }
        generations[place] &+= 1
        let id = FeedID(index: place, generation: generations[place])
        feeds[place] = Feed(id: id, selection: selection, coveredFrom: tail)
        ids[selection] = id
        index.insert(id, for: selection.selectors)
        return id
    }

    mutating func keep(_ id: FeedID) {
        if let place = place(of: id) { feeds[place]?.users += 1 }
    }

    /// Leaves a feed. With its last user the feed and all it holds are freed.
    mutating func close(_ id: FeedID) {
        guard let place = place(of: id) else { return }
        feeds[place]?.users -= 1
        guard let feed = feeds[place], feed.users == 0 else { return }
        for entry in feed.entries { window.release(entry.sequence) }
        index.remove(id, for: feed.selection.selectors)
        ids[feed.selection] = nil
        feeds[id.index] = nil
        free.append(id.index)
    }

    mutating func add(_ listener: any FeedListener, to id: FeedID) {
        if let place = place(of: id) { feeds[place]?.add(listener) }
    }

    mutating func remove(_ listener: any FeedListener, from id: FeedID) {
        if let place = place(of: id) { feeds[place]?.remove(listener) }
    }

    func step(_ id: FeedID, _ cursor: Cursor, limit: SliceLimit, covers: (Position, Position) -> Bool) -> Step {
        place(of: id).flatMap { feeds[$0]?.step(cursor, tail: tail, limit: limit, covers: covers) } ?? .caughtUp(tail)
    }

    /// Where a feed is; `nil` if it is gone.
    private func place(of id: FeedID) -> Int? {
        feeds.indices.contains(id.index) && feeds[id.index]?.id == id ? id.index : nil
    }
}

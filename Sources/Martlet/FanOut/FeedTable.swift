// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// All feeds of this node and the window that they share: the state that publishing and subscribing meet in. A value;
/// the hub keeps it behind one lock and does everything that it returns outside that lock.
struct FeedTable {
    /// The end of the log as this node knows it.
    private(set) var tail: Mark
    private var feeds: [FeedID: Feed] = [:]
    private var ids: [Selection: FeedID] = [:]
    private var index = TopicIndex()
    private var window: Window
    private var progress = ShardProgress()
    private var nextID: UInt64 = 0

    /// What a frame costs in every feed that holds it; an estimate.
    static let bytesPerFeed = 48

    init(tail: Position, windowBytes: Int) {
        self.tail = Mark(sequence: .zero, position: tail)
        self.window = Window(capacity: windowBytes)
    }

    var feedCount: Int { feeds.count }
    var topicCount: Int { index.topicCount }
    var windowByteCount: Int { window.byteCount }
    /// How many bytes of frames the slowest shard has not written yet.
    var lag: Int { progress.slowest.map(window.byteCount(after:)) ?? 0 }

    /// Numbers what the node has read from the log and gives it to the feeds that select it.
    ///
    /// - Returns: whom to tell about which feeds.
    mutating func append(_ slice: Slice) -> [(listener: any FeedListener, feeds: [FeedID])] {
        let before = tail.sequence
        let now = ContinuousClock.now
        var grown: Set<FeedID> = []
        if let gap = slice.gap {
            restart(at: gap)
            grown.formUnion(feeds.keys)
        }
        for record in slice.records {
            tail = Mark(sequence: tail.sequence.next, position: record.position)
            let reached = index[record.event.topic].filter { feeds[$0]?.selection.contains(record.event) == true }
            guard !reached.isEmpty else { continue }
            let frame = Frame(record, time: now)
            for id in reached { feeds[id]?.append(Feed.Entry(sequence: tail.sequence, frame: frame)) }
            grown.formUnion(reached)
            let byteCount = frame.byteCount + reached.count * Self.bytesPerFeed
            window.append(Window.Item(sequence: tail.sequence, byteCount: byteCount, feeds: reached))
            while let dropped = window.popOverflow() {
                for id in dropped.feeds { feeds[id]?.dropFirst() }
            }
        }
        tail.position = slice.end
        let calls = listeners(of: grown)
        for (listener, _) in calls where listener.holdsUpPublishers {
            progress.tell(ObjectIdentifier(listener), before: before, last: tail.sequence)
        }
        return calls
    }

    /// A shard has written everything up to a number to everybody who takes it.
    mutating func reach(_ shard: any FeedListener, _ sequence: SequenceNumber) {
        progress.reach(ObjectIdentifier(shard), sequence)
    }

    /// The log lost events before this node had read them: everybody has to ask the log what that means for him.
    private mutating func restart(at position: Position) {
        tail = Mark(sequence: tail.sequence.next, position: position)
        for (id, feed) in feeds {
            for entry in feed.entries { window.release(entry.sequence, from: id) }
            feeds[id]?.restart(at: tail)
        }
    }

    /// Everybody who listens to any feed.
    func allListeners() -> [(listener: any FeedListener, feeds: [FeedID])] { listeners(of: Set(feeds.keys)) }

    private func listeners(of grown: Set<FeedID>) -> [(listener: any FeedListener, feeds: [FeedID])] {
        var calls: [ObjectIdentifier: (listener: any FeedListener, feeds: [FeedID])] = [:]
        for id in grown {
            for (listener, _) in feeds[id]?.listeners ?? [] {
                calls[ObjectIdentifier(listener), default: (listener, [])].feeds.append(id)
            }
        }
        return Array(calls.values)
    }

    /// Joins the feed of a selection, which keeps everything from now on until ``close(_:)``.
    mutating func open(_ selection: Selection) -> FeedID {
        let id = ids[selection] ?? make(selection)
        feeds[id]?.users += 1
        return id
    }

    private mutating func make(_ selection: Selection) -> FeedID {
        nextID += 1
        let id = FeedID(rawValue: nextID)
        feeds[id] = Feed(selection: selection, coveredFrom: tail)
        ids[selection] = id
        index.insert(id, for: selection.topics)
        return id
    }

    /// Leaves a feed. With its last user the feed and all it holds are freed.
    mutating func close(_ id: FeedID) {
        guard let feed = feeds[id] else { return }
        guard feed.users == 1 else {
            feeds[id]?.users -= 1
            return
        }
        for entry in feed.entries { window.release(entry.sequence, from: id) }
        index.remove(id, for: feed.selection.topics)
        ids[feed.selection] = nil
        feeds[id] = nil
    }

    mutating func add(_ listener: any FeedListener, to id: FeedID) { feeds[id]?.add(listener) }
    mutating func remove(_ listener: any FeedListener, from id: FeedID) { feeds[id]?.remove(listener) }

    func step(_ id: FeedID, _ cursor: Cursor, limit: SliceLimit, covers: (Position, Position) -> Bool) -> Step {
        guard let feed = feeds[id] else { return .caughtUp(tail) }
        return feed.step(cursor, tail: tail, limit: limit, covers: covers)
    }
}

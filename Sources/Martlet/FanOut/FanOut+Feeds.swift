// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// The feeds, behind the lock.
extension FanOut {
    /// The end of the log as this node knows it.
    var tail: Mark {
        state.withLock { $0.feeds?.tail } ?? Mark(sequence: .zero, position: .earliest)
    }

    /// Where a reader stands that has everything which this node has read of the log; the earliest before the hub runs.
    var end: Position { tail.position }

    /// The id that resumes after everything that this node has read of the log; `earliest` if history is empty.
    func lastEventID() async -> String {
        let (end, start) = state.withLock { ($0.feeds?.tail.position ?? .earliest, $0.start) }
        guard end == start else { return end.text }
        // Where the log does not answer, its end is right too.
        let oldest = try? await log.read(nil, after: .earliest, through: end, limit: SliceLimit(events: 1))
        return oldest?.records.isEmpty == true ? Position.earliest.text : end.text
    }

    /// The end as this node knows it, once the node has read up to a position of the log.
    func end(covering position: Position) async throws -> Position {
        try await waitUntilRunning()
        return try await changed.wait {
            guard isRunning else { throw MartletError.notRunning }
            let end = end
            return log.covers(end, position) ? end : nil
        }
    }

    /// Joins the feed of a selection and says where its live end is.
    ///
    /// - Throws: ``MartletError`` where the hub does not run or holds too many templates like those of the selection.
    func open(_ selection: Selection) throws(MartletError) -> (FeedID, Mark) {
        let (feed, tail, isDue, watches) = try state.withLock { state throws(MartletError) in
            guard let feed = try state.feeds?.open(selection), let tail = state.feeds?.tail else { throw .notRunning }
            return (feed, tail, state.feeds?.shouldTellIndex() ?? false, Self.watches(in: state))
        }
        if isDue { refreshRouter() }
        for watch in watches { watch.opened(feed, selection) }
        return (feed, tail)
    }

    /// The topics of a selection that have ended.
    func ends(of selection: Selection) -> EndedTopics {
        state.withLock { $0.feeds?.ends(of: selection) } ?? EndedTopics()
    }

    /// Throws if a topic has ended, as far as this node has read the log.
    func check(_ events: [Event]) throws(MartletError) {
        var (rest, ended) = (events[...], Set<Topic>())
        repeat {
            let some = rest.prefix(Self.mostAtOnce)
            rest = rest.dropFirst(some.count)
            try state.withLock { state throws(MartletError) in
                try state.feeds?.book.check(some, behindEndsOf: &ended)
            }
        } while !rest.isEmpty
    }

    /// How many events or values are looked at before others get the lock, too.
    private static let mostAtOnce = 256

    /// Where the topic has ended that these events end, if that is all that they do.
    func repeatedEnd(_ events: [Event]) -> Position? { state.withLock { $0.feeds?.book.repeatedEnd(events) } }

    /// How many values, and how many topics, were forgotten because of a bound.
    var forgotten: (values: Int, topics: Int) {
        state.withLock { ($0.feeds?.values.forgotten ?? 0, $0.feeds?.book.forgotten ?? 0) }
    }

    /// The events that readers need: those that have not expired, were not purged, and are not replaced where only the
    /// newest value of a key counts.
    func current(_ records: [Record]) -> [Record] {
        let latest = state.withLock { $0.feeds?.slowRules.latest }
        return current(latest.map { records.conflated(where: $0.selects) } ?? records) { $0 }
    }

    /// Uses other rules from now on, for all subscribers.
    func use(_ rules: SlowRules) { state.withLock { $0.feeds?.slowRules = rules } }

    /// The values that are still there for readers.
    func current(_ frames: [Frame]) -> [Frame] { current(frames, \.record) }

    private func current<Item: Sendable>(_ items: [Item], _ record: @Sendable (Item) -> Record) -> [Item] {
        let now = WallTime.now
        let hasGone = state.withLock { $0.feeds?.hasGoneTopics ?? false }
        guard hasGone || items.contains(where: { record($0).event.isExpired(at: now) }) else { return items }
        var (current, rest) = ([] as [Item], items[...])
        while !rest.isEmpty {
            let some = rest.prefix(Self.mostAtOnce)
            rest = rest.dropFirst(some.count)
            current += state.withLock { state in
                some.filter { state.feeds?.isCurrent(record($0), now: now, covers: log.covers) ?? true }
            }
        }
        return current
    }

    /// Whether topics of a selection have lost events behind a position, because they have expired or were purged.
    func hasLost(_ selection: Selection, after position: Position) -> Bool {
        state.withLock { state in
            guard let feeds = state.feeds, feeds.hasGoneTopics else { return false }
            return feeds.hasLost(selection, after: position, now: .now, covers: log.covers)
        }
    }

    /// The current values of a selection, some at a time, as of the tail where the reader began.
    func values(
        of selection: Selection, after: SequenceNumber, through: SequenceNumber, limit: SliceLimit
    ) -> (values: [StateTable.Value], end: SequenceNumber) {
        state.withLock { state in
            state.feeds?.values(of: selection, after: after, through: through, limit: limit, covers: log.covers)
                ?? ([], through)
        }
    }

    /// Throws if all topics of a selection have expired.
    func checkNotExpired(_ selection: Selection) throws(MartletError) {
        if state.withLock({ $0.feeds?.isExpired(selection, now: .now) }) == true { throw .topicExpired }
    }

    /// Keeps a feed that is open, until another ``close(_:)``.
    func keep(_ feed: FeedID) { state.withLock { $0.feeds?.keep(feed) } }

    func close(_ feed: FeedID) {
        let (isDue, watches) = state.withLock { state in
            let isFreed = state.feeds?.close(feed) ?? false
            return (state.feeds?.shouldTellIndex() ?? false, isFreed ? Self.watches(in: state) : [])
        }
        if isDue { refreshRouter() }
        for watch in watches { watch.closed(feed) }
    }

    /// Has the index take what has changed, so that the next event does not wait for it.
    private func refreshRouter() { Task { await router.refresh(from: self) } }

    func listen(_ listener: any FeedListener, to feed: FeedID) {
        state.withLock { $0.feeds?.add(listener, to: feed) }
    }

    func ignore(_ listener: any FeedListener, _ feed: FeedID) {
        state.withLock { $0.feeds?.remove(listener, from: feed) }
    }

    func step(_ feed: FeedID, _ cursor: Cursor) -> Step {
        state.withLock { $0.feeds?.step(feed, cursor, limit: configuration.slice, covers: log.covers) } ?? .ahead
    }

    /// The steps of several cursors, under one lock.
    func steps(_ cursors: [(feed: FeedID, cursor: Cursor)]) -> [Step] {
        state.withLock { state in
            let covers = log.covers
            return cursors.map { feed, cursor in
                state.feeds?.step(feed, cursor, limit: configuration.slice, covers: covers) ?? .ahead
            }
        }
    }

    /// Whether history can be read on the thread of a shard: little of it, and from a log that never has to wait.
    func canReadNow(_ request: Replayer.Request) -> Bool {
        request.selection.patternCount <= Self.fewPatterns
            && immediateLog?.isNear(request.after, to: request.through.position) == true
    }

    private static let fewPatterns = 16

    /// Reads history at once; `nil` if it is to be read by the replayer. A subscriber whose socket is full reads it again.
    func readNow(_ request: Replayer.Request) -> ReplaySlice? {
        guard canReadNow(request), let log = immediateLog else { return nil }
        let slice = try? log.readNow(
            request.selection, after: request.after, through: request.through.position, limit: configuration.slice)
        return slice.map { slice in
            var slice = slice
            slice.records = current(slice.records)
            return ReplaySlice(slice, for: request, within: nil)
        }
    }

    /// Gives the feeds what was read of the log.
    func deliver(_ slice: Slice) async {
        let calls = state.withLock { state in
            state.feeds?.needsIndex(for: slice) == true ? nil : state.feeds?.append(slice)
        }
        if let calls { hand(over: calls) } else { await router.deliver(slice, to: self) }
    }

    /// Gives events to the subscribers of this moment and to no later ones: they are not in history. A client that resumes
    /// from one of them resumes from the event before it, and may receive it once more.
    func announce(_ events: [Event]) async { await router.announce(events, to: self) }

    /// Whether any subscriber may see private events.
    var showsPrivateEvents: Bool { state.withLock { $0.feeds?.showsPrivateEvents ?? false } }

    /// Tells listeners of the feeds that have grown.
    func hand(over calls: [(listener: any FeedListener, feeds: [FeedID])]) {
        changed.fire()
        for (listener, feeds) in calls { listener.feedsGrew(feeds) }
    }

    /// A shard has written everything up to a number to every subscriber that can take it.
    func reached(_ sequence: SequenceNumber, by shard: any FeedListener) {
        let goesOn = state.withLock { state in
            state.feeds?.reach(shard, sequence)
            guard state.waitsForShards, !isHeldUp(state) else { return false }
            state.waitsForShards = false
            return true
        }
        if goesOn { progressed.fire() }
    }

    /// Whether a shard is too far behind for more to be read from the log.
    private func isHeldUp(_ state: borrowing State) -> Bool {
        (state.feeds?.lag ?? 0) > configuration.maximumShardLag
    }

    /// Returns once all shards are near enough to the end of what this node has read.
    func waitForShards() async throws {
        try await progressed.wait {
            state.withLock { state in
                state.waitsForShards = isHeldUp(state)
                return state.waitsForShards ? nil : ()
            }
        }
    }

    func shard(of eventLoop: any EventLoop) -> ChannelShard {
        state.withLock { state in
            let key = ObjectIdentifier(eventLoop)
            if let shard = state.channelShards[key] { return shard }
            let shard = ChannelShard(fanOut: self, eventLoop: eventLoop)
            state.channelShards[key] = shard
            return shard
        }
    }

    #if os(Linux)
    /// The shard that the next handed-off socket goes to; `nil` where sockets are not handed off.
    func nextSocketShard() -> SocketShard? {
        state.withLock { state in
            guard !state.socketShards.isEmpty else { return nil }
            state.nextShard = (state.nextShard + 1) % state.socketShards.count
            return state.socketShards[state.nextShard]
        }
    }
    #endif
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import NIOCore
import Synchronization

/// The subscribers of one event loop.
///
/// All sinks of a feed that are caught up form a group, which moves as one: for each group of events that were
/// published the loop is woken once, asks each feed once, and then only writes. What is published while a pass runs
/// goes out with the next pass. Behind the groups those who catch up have their turn.
final class ChannelShard: Shard {
    private struct Pending {
        var feeds: Set<FeedID> = []
        var isScheduled = false
    }

    private struct Group {
        var mark: Mark
        var sinks: [ObjectIdentifier: ChannelSink] = [:]
    }

    /// A sink that has left is not kept by its place in a line.
    private struct Turn {
        weak var sink: ChannelSink?
    }

    private final class Members {
        var groups: [FeedID: Group] = [:]
        /// Those who catch up and wait for their turn to be written to.
        var line: Deque<Turn> = []
        var heartbeat: RepeatedTask?
    }

    let eventLoop: any EventLoop
    private let hub: Hub
    private let pending = Mutex(Pending())
    private let members: NIOLoopBoundBox<Members>

    /// How long the loop does other things between two passes, so that a busy hub still accepts and reads.
    private let pause = TimeAmount.microseconds(50)
    /// How long an ended stream waits for the client to close its side, so that its last bytes arrive.
    let lingering = TimeAmount.seconds(1)

    init(hub: Hub, eventLoop: any EventLoop) {
        self.hub = hub
        self.eventLoop = eventLoop
        self.members = NIOLoopBoundBox.makeBoxSendingValue(Members(), eventLoop: eventLoop)
    }

    // MARK: From any thread

    func feedsGrew(_ feeds: [FeedID]) { wake(for: feeds) }

    /// Has a pass happen soon.
    private func wake(for feeds: [FeedID] = []) {
        let isFirst = pending.withLock { pending in
            pending.feeds.formUnion(feeds)
            defer { pending.isScheduled = true }
            return !pending.isScheduled
        }
        if isFirst { eventLoop.execute { self.pass() } }
    }

    /// Ends all streams, each at a moment of its own within the grace period.
    func drain() {
        eventLoop.execute {
            for group in self.members.value.groups.values {
                for sink in group.sinks.values { self.endSoon(sink) }
            }
        }
    }

    // MARK: On the event loop

    func add(_ sink: ChannelSink) {
        let feed = sink.subscription.feed
        if members.value.groups[feed] == nil {
            members.value.groups[feed] = Group(mark: hub.tail)
            hub.listen(self, to: feed)
        }
        members.value.groups[feed]?.sinks[ObjectIdentifier(sink)] = sink
        hub.streamOpened()
        startHeartbeat()
        end(sink, in: hub.connectionAge(), because: .age)
        follow(sink.subscription.lease, of: sink)
        if hub.isDraining { endSoon(sink) }
    }

    func remove(_ sink: ChannelSink, because reason: StreamEnd) {
        let feed = sink.subscription.feed
        members.value.groups[feed]?.sinks[ObjectIdentifier(sink)] = nil
        hub.streamClosed(reason)
        if members.value.groups[feed]?.sinks.isEmpty == true {
            members.value.groups[feed] = nil
            hub.ignore(self, feed)
        }
        if members.value.groups.isEmpty { stopHeartbeat() }
    }

    var writeTimeout: TimeAmount { TimeAmount(hub.configuration.writeTimeout) }

    /// Tells the hub's metrics what was written.
    ///
    /// - Parameter replayed: How many of the events came from history.
    func count(deliveries: Int, replayed: Int = 0, bytes: Int) {
        hub.metrics.delivered(deliveries, replayed: replayed, bytes: bytes)
    }

    /// Whether what a sink cannot write now may stay in memory.
    var hasRoom: Bool { hub.replayer.budget.hasRoom }

    func step(_ feed: FeedID, _ cursor: Cursor) -> Step { hub.step(feed, cursor) }

    func read(_ request: Replayer.Request, _ completion: @escaping Replayer.Completion) -> Replayer.Place {
        hub.replayer.read(request, completion)
    }

    /// Has a sink take its turn once all have that are in line already.
    func lineUp(_ sink: ChannelSink) {
        members.value.line.append(Turn(sink: sink))
        wake()
    }

    private func pass() {
        let feeds = pending.withLock { pending in
            defer { pending.feeds = [] }
            return pending.feeds
        }
        let start = ContinuousClock.now
        // Taken after the feeds: whoever grows later has another pass.
        let tail = hub.tail.sequence
        let left = feeds.filter { !advance($0) }
        pending.withLock { $0.feeds.formUnion(left) }
        hub.reached(left.lazy.compactMap { self.members.value.groups[$0]?.mark.sequence }.min() ?? tail, by: self)
        takeTurns(liveSince: start)
        let isAnybodyInLine = !members.value.line.isEmpty
        let goesOn = pending.withLock { pending in
            pending.isScheduled = isAnybodyInLine || !pending.feeds.isEmpty
            return pending.isScheduled
        }
        if goesOn { eventLoop.scheduleTask(in: pause) { self.pass() } }
    }

    private func takeTurns(liveSince start: ContinuousClock.Instant) {
        let end = Turns.end(liveSince: start, now: .now)
        while .now < end, let turn = members.value.line.popFirst() { turn.sink?.takeTurn() }
    }

    /// Writes one slice of a feed to its group. Returns whether that was all.
    private func advance(_ feed: FeedID) -> Bool {
        guard let group = members.value.groups[feed] else { return true }
        switch hub.step(feed, .at(group.mark)) {
        case .deliver(let entries, let mark, let isLast):
            members.value.groups[feed]?.mark = mark
            for sink in group.sinks.values { sink.take(entries, through: mark) }
            if let first = entries.first { hub.metrics.delivered(since: first.frame.time) }
            return isLast
        case .caughtUp(let mark):
            members.value.groups[feed]?.mark = mark
            return true
        case .replay, .ahead:
            // The place is gone from the window. Whoever stands there reads history; the group waits at the end.
            members.value.groups[feed]?.mark = hub.tail
            for sink in group.sinks.values { sink.leaveGroup() }
            return true
        }
    }

    /// Ends a stream with the right to it.
    private func follow(_ lease: Lease?, of sink: ChannelSink) {
        guard let lease else { return }
        let bound = NIOLoopBound(sink, eventLoop: eventLoop)
        lease.observe { [eventLoop] in eventLoop.execute { self.leaseChanged(bound.value, lease) } }
        leaseChanged(sink, lease)
    }

    private func leaseChanged(_ sink: ChannelSink, _ lease: Lease) {
        guard !sink.isReleased else { return }
        sink.leaseEnd?.cancel()
        if lease.isRevoked { return sink.end(because: .revoked, retry: hub.retry()) }
        guard let end = lease.end else { return }
        guard end > .now else { return sink.end(because: .expired, retry: hub.retry()) }
        let bound = NIOLoopBound(sink, eventLoop: eventLoop)
        sink.leaseEnd = eventLoop.scheduleTask(in: TimeAmount(end - .now)) {
            bound.value.end(because: .expired, retry: self.hub.retry())
        }
    }

    private func endSoon(_ sink: ChannelSink) {
        end(sink, in: .random(in: .zero...hub.configuration.grace), because: .drained)
    }

    private func end(_ sink: ChannelSink, in delay: Duration, because reason: StreamEnd) {
        let bound = NIOLoopBound(sink, eventLoop: eventLoop)
        sink.tasks.append(
            eventLoop.scheduleTask(in: TimeAmount(delay)) {
                bound.value.end(because: reason, retry: self.hub.retry())
            })
    }

    // MARK: The heartbeat

    private func startHeartbeat() {
        guard members.value.heartbeat == nil else { return }
        let interval = TimeAmount(hub.configuration.heartbeat)
        members.value.heartbeat = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            self.beat()
        }
    }

    private func stopHeartbeat() {
        members.value.heartbeat?.cancel()
        members.value.heartbeat = nil
    }

    private func beat() {
        for feed in Array(members.value.groups.keys) {
            // Who is being written events needs no heartbeat.
            guard advance(feed), let group = members.value.groups[feed] else { continue }
            let heartbeat = WireBytes.id(group.mark.position)
            for sink in group.sinks.values { sink.beat(heartbeat, at: group.mark) }
        }
    }
}

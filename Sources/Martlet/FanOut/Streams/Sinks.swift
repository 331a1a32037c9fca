// SPDX-License-Identifier: Apache-2.0

import DequeModule
import NIOCore

/// Names a member; never names another after it is gone.
struct SinkToken: Hashable, Sendable {
    var index: Int32
    var generation: UInt32

    init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    /// As one number, for the poller.
    init(rawValue: UInt64) {
        self.init(index: Int32(truncatingIfNeeded: rawValue), generation: UInt32(rawValue >> 32))
    }

    var rawValue: UInt64 { UInt64(generation) << 32 | UInt64(UInt32(bitPattern: index)) }
}

/// Work that others leave for the next pass of a shard.
struct ShardMail {
    var isDraining = false
    var grown: [FeedID] = []
    var changedLeases: [SinkToken] = []
    var slices: [(SinkToken, Result<ReplaySlice, any Error>)] = []

    var isEmpty: Bool { !isDraining && grown.isEmpty && changedLeases.isEmpty && slices.isEmpty }

    mutating func add(_ other: ShardMail) {
        guard !isEmpty else {
            self = other
            return
        }
        isDraining = isDraining || other.isDraining
        grown += other.grown
        changedLeases += other.changedLeases
        slices += other.slices
    }
}

/// The subscribers of a shard: a state machine on one thread, which does its input and output through a transport.
///
/// All subscribers of a feed that are caught up stand at one mark, that of their group, and own nothing but a few bytes
/// in an array. A member whose socket did not take everything, or that came with a position, has its own cursor
/// until it has caught up: it is a straggler.
struct Sinks<T: Transport> {
    struct Member {
        var socket: Int32 = -1
        var group: Int32 = -1
        /// Where in the group's list of its framing; -1 for a straggler.
        var place: Int32 = -1
        var generation: UInt32 = 0
        /// When its stream is to be ended.
        var end = Tick.never
        /// Why it is ended then.
        var reason = StreamEnd.age
        var framing = Framing.chunked
        var profile = StreamProfile.standard
        /// Several answers in one byte: there may be a million members.
        private var flags: UInt8 = 0

        /// Whether it is said when its socket takes bytes again.
        var watchesWriting: Bool {
            get { flags & 1 != 0 }
            set { flags = newValue ? flags | 1 : flags & ~1 }
        }

        /// Whether it receives the current values behind a gap.
        var hasValues: Bool {
            get { flags & 2 != 0 }
            set { flags = newValue ? flags | 2 : flags & ~2 }
        }
    }

    /// An object, because it is looked at for every delivery, and copying it would touch all that it holds.
    final class Group {
        /// Kept open for as long as there is the group.
        let feed: FeedID
        let selection: Selection
        var mark: Mark
        var chunked = ShortList<Int32>()
        var plain = ShortList<Int32>()
        /// Stragglers that go on once the group has come to a number: to where they are themselves, or anywhere.
        var waiting: [(index: Int32, sequence: SequenceNumber)] = []
        var memberCount: Int32 = 0
        /// Whether it is among those that are to be advanced.
        var isPending = false
        /// Whether a member in its lists may have another profile than the standard.
        var hasProfiles = false

        init(feed: FeedID, selection: Selection, mark: Mark) {
            self.feed = feed
            self.selection = selection
            self.mark = mark
        }

        func list(_ framing: Framing) -> ShortList<Int32> {
            switch framing {
            case .chunked: chunked
            case .plain: plain
            }
        }
    }

    /// The deliveries and bytes since the last report to the metrics.
    struct Tally {
        var deliveries = 0
        /// How many of them came from history.
        var replayed = 0
        var bytes = 0
        /// How many of them came from history.
        var replayedBytes = 0
        /// Since when the oldest of them was here.
        var oldest: ContinuousClock.Instant?

        mutating func add(_ bytes: Int, deliveries: Int, replayed: Int = 0) {
            self.bytes += bytes
            self.deliveries += deliveries
            self.replayed += replayed
        }
    }

    let fanOut: FanOut
    let start: ContinuousClock.Instant
    let listener: any FeedListener
    let read: (Replayer.Request, SinkToken) -> Replayer.Place
    var transport: T
    var members: [Member] = []
    var free: [Int32] = []
    var groups: [Group?] = []
    private var freeGroups: [Int32] = []
    /// The group of each feed, at the index of the feed; -1 for none.
    private var groupIndices: [Int32] = []
    /// Groups whose feeds have grown.
    var pending: [Int32] = []
    var stragglers: [Int32: Straggler] = [:]
    /// The history that was last read here, until the next heartbeat: clients that come back together often ask for the
    /// same.
    var lastRead: (request: Replayer.Request, slice: ReplaySlice)?
    /// The stragglers that wait for their turn to be sent something.
    var line: Deque<SinkToken> = []
    /// The leases of members that have one, each with the other time and reason for which its stream ends.
    var leases: [Int32: (lease: Lease, end: Tick, reason: StreamEnd)] = [:]
    var schedule: Schedule
    /// When the next stream is to end, or sooner.
    var earliestEnd = Tick.never
    var tally = Tally()
    /// `nil` if the ends of streams are not reported.
    var ledger: StreamLedger?

    /// How long an ended stream waits for its client to close its side.
    let lingering = Duration.seconds(1)

    /// - Parameters:
    ///   - listener: Hears when feeds of the subscribers have grown, and has them advanced.
    ///   - read: Asks for a slice of history; the answer comes back through ``finishReading(_:_:now:)``.
    init(
        fanOut: FanOut, start: ContinuousClock.Instant = .now, listener: any FeedListener, transport: T,
        read: @escaping (Replayer.Request, SinkToken) -> Replayer.Place
    ) {
        self.fanOut = fanOut
        self.start = start
        schedule = Schedule(heartbeat: fanOut.configuration.heartbeat, now: start)
        self.listener = listener
        self.transport = transport
        self.read = read
        ledger = fanOut.onStreamEnd == nil ? nil : StreamLedger()
    }

    var count: Int { members.count - free.count }
    /// Whether there is something to be sent.
    var isBusy: Bool { !pending.isEmpty || !line.isEmpty }
    /// Whether a member waits for its socket, or for its client to leave.
    var hasStragglers: Bool { !stragglers.isEmpty }
    var tokens: [SinkToken] {
        members.indices.filter { members[$0].socket >= 0 }.map { token(of: Int32($0)) }
    }

    // MARK: Coming and going

    /// Takes over a socket. A member that stands where its group stands joins it at once. Nothing is written to another
    /// before ``resume(_:now:)`` says that its socket takes bytes.
    ///
    /// - Parameters:
    ///   - rest: Bytes that the socket has not taken yet. They go first.
    ///   - leaseChanged: Called from any thread when the lease of the stream has changed.
    mutating func add(
        _ subscription: Subscription, socket: Int32, framing: Framing, rest: [UInt8] = [],
        now: ContinuousClock.Instant, leaseChanged: @escaping @Sendable (SinkToken) -> Void
    ) -> SinkToken {
        if count == 0 { schedule = Schedule(heartbeat: fanOut.configuration.heartbeat, now: now) }
        let group = groupIndex(of: subscription.feed) ?? makeGroup(of: subscription.feed, subscription.selection)
        groups[Int(group)]?.memberCount += 1
        let index = free.popLast() ?? Int32(members.count)
        if index == members.count { members.append(Member()) }
        members[Int(index)].socket = socket
        members[Int(index)].group = group
        members[Int(index)].place = -1
        members[Int(index)].end = .never
        members[Int(index)].framing = framing
        members[Int(index)].hasValues = subscription.hasValues
        members[Int(index)].profile = subscription.profile
        members[Int(index)].watchesWriting = false
        if let lease = subscription.lease { leases[index] = (lease, .never, .age) }
        let opened = now - start
        ledger?.open(index, subscription.client, at: opened)
        if rest.isEmpty, case .at(let mark) = subscription.start, groups[Int(group)]?.mark.sequence == mark.sequence {
            place(index)
        } else {
            stragglers[index] = Straggler(cursor: subscription.start)
            if !rest.isEmpty { stragglers[index]?.unsent = [Unsent(rest: ByteBuffer(bytes: rest), isEvent: false)] }
        }
        let token = token(of: index)
        end(token, at: now + fanOut.connectionAge(), because: .age)
        if let lease = subscription.lease {
            lease.observe { leaseChanged(token) }
            self.leaseChanged(token, now: now)
        }
        if fanOut.isDraining { endSoon(token, now: now) }
        return token
    }

    mutating func makeGroup(of feed: FeedID, _ selection: Selection) -> Int32 {
        // Growth is heard of from before the group takes its place at the feed's end.
        fanOut.listen(listener, to: feed)
        fanOut.keep(feed)
        let group = Group(feed: feed, selection: selection, mark: fanOut.tail)
        let index = freeGroups.popLast().map(Int.init) ?? groups.count
        if index == groups.count { groups.append(group) } else { groups[index] = group }
        let missing = feed.index + 1 - groupIndices.count
        if missing > 0 { groupIndices += repeatElement(-1, count: missing) }
        groupIndices[feed.index] = Int32(index)
        return Int32(index)
    }

    func groupIndex(of feed: FeedID) -> Int32? {
        guard groupIndices.indices.contains(feed.index), groupIndices[feed.index] >= 0 else { return nil }
        let index = groupIndices[feed.index]
        return groups[Int(index)]?.feed == feed ? index : nil
    }

    func token(of index: Int32) -> SinkToken { SinkToken(index: index, generation: members[Int(index)].generation) }

    func index(of token: SinkToken) -> Int32? {
        let member = members[Int(token.index)]
        return member.generation == token.generation && member.socket >= 0 ? token.index : nil
    }

    /// Closes a socket and forgets it.
    mutating func remove(_ token: SinkToken, because reason: StreamEnd? = nil) {
        if let index = index(of: token) { remove(index, because: reason) }
    }

    /// - Parameter reason: `nil`: why its stream was ending, else because of the client.
    mutating func remove(_ index: Int32, because reason: StreamEnd? = nil) {
        let reason = reason ?? stragglers[index]?.reason ?? .client
        leaveGroup(index)
        report(index, because: reason)
        stragglers[index] = nil
        let group = members[Int(index)].group
        transport.close(members[Int(index)].socket)
        members[Int(index)].socket = -1
        // Without the highest bit: the poller has other tokens there.
        members[Int(index)].generation = (members[Int(index)].generation + 1) & 0x7FFF_FFFF
        members[Int(index)].end = .never
        free.append(index)
        leases[index] = nil
        fanOut.streamClosed(reason, onOwnSocket: T.hasOwnSockets)
        if count == 0 { lastRead = nil }
        leave(group)
    }

    /// A member has left a group for good, which goes with its last.
    mutating func leave(_ group: Int32) {
        groups[Int(group)]?.memberCount -= 1
        guard let left = groups[Int(group)], left.memberCount == 0 else { return }
        fanOut.ignore(listener, left.feed)
        fanOut.close(left.feed)
        groupIndices[left.feed.index] = -1
        groups[Int(group)] = nil
        freeGroups.append(group)
    }

    mutating func joinGroup(_ index: Int32) {
        stragglers[index] = nil
        place(index)
    }

    /// Puts a member into its group's list.
    private mutating func place(_ index: Int32) {
        let member = members[Int(index)]
        ledger?.join(member.group, index, member.kind)
        if member.profile != .standard { groups[Int(member.group)]?.hasProfiles = true }
        switch member.framing {
        case .chunked:
            members[Int(index)].place = Int32(groups[Int(member.group)]?.chunked.count ?? 0)
            groups[Int(member.group)]?.chunked.append(index)
        case .plain:
            members[Int(index)].place = Int32(groups[Int(member.group)]?.plain.count ?? 0)
            groups[Int(member.group)]?.plain.append(index)
        }
    }

    /// Takes a member out of its group's list, whose last member takes its place.
    mutating func leaveGroup(_ index: Int32) {
        let member = members[Int(index)]
        guard member.place >= 0 else {
            groups[Int(member.group)]?.waiting.removeAll { $0.index == index }
            return
        }
        let moved: Int32?
        switch member.framing {
        case .chunked: moved = groups[Int(member.group)]?.chunked.popLast()
        case .plain: moved = groups[Int(member.group)]?.plain.popLast()
        }
        members[Int(index)].place = -1
        ledger?.leave(member.group, index, member.kind)
        guard let moved, moved != index else { return }
        switch member.framing {
        case .chunked: groups[Int(member.group)]?.chunked[Int(member.place)] = moved
        case .plain: groups[Int(member.group)]?.plain[Int(member.place)] = moved
        }
        members[Int(moved)].place = member.place
    }
}

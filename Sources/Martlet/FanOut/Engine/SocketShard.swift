// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import CLinux
import Glibc
import NIOCore
import Synchronization

/// A thread that writes to sockets which were handed off to it: plain HTTP/1 connections after their response heads.
///
/// It sleeps until a socket, a feed or a time needs it. While it writes, the next events gather; the next pass writes all
/// of them at once, without a timer. Every pass gives each feed that has grown one slice, so that none waits for more
/// than one slice of every other.
final class SocketShard: Shard, Sendable {
    /// What others leave for the thread.
    private struct Mailbox {
        var isAwake = false
        /// Not `nil`: the thread is to end, and to say so.
        var stopping: CheckedContinuation<Void, Never>?
        /// The thread is gone; nobody looks in here any more.
        var hasEnded = false
        var isDraining = false
        var grown: [FeedID] = []
        var adopted: [(subscription: Subscription, socket: Int32, framing: Framing)] = []
        var changedLeases: [Token] = []
        var slices: [(Token, Result<ReplaySlice, any Error>)] = []
    }

    typealias Sinks = SocketSinks<SocketTransport>
    typealias Token = Sinks.Token

    private let hub: Hub
    private let mailbox = Mutex(Mailbox())
    private let poller: Int32
    private let bell: Int32

    private static let bellToken = UInt64.max
    /// How many sockets are looked at before the mailbox and the feeds have their turn.
    private static let mostEvents = 512

    /// - Throws: ``MartletError`` when the process has no descriptors left.
    init(hub: Hub) throws {
        self.hub = hub
        poller = martlet_poller_create()
        bell = martlet_signal_create()
        guard poller >= 0, bell >= 0, martlet_poller_add(poller, bell, Self.bellToken) == 0 else {
            throw MartletError(.notRunning, "No descriptors are left for a shard. Raise their limit (ulimit -n).")
        }
    }

    deinit {
        Glibc.close(poller)
        Glibc.close(bell)
    }

    // MARK: From any thread

    /// - Throws: ``ThreadError`` where the process may start no more threads. Nothing is to be done with the shard then.
    func start(_ startThread: WorkThread.Starter) throws(ThreadError) {
        // The thread holds the shard until it ends.
        try startThread { self.run() }
    }

    /// Takes over a socket that does not block, to the end of its life. Called on an event loop: the thread is woken once
    /// for all that come in one turn of the loop.
    func adopt(
        _ subscription: Subscription, socket: Int32, framing: Framing, from eventLoop: any EventLoop,
        handOff: () -> Void
    ) {
        hub.streamOpened(onOwnSocket: true, handOff)
        let (isTooLate, isFirst) = mailbox.withLock { mailbox in
            guard !mailbox.hasEnded else { return (true, false) }
            mailbox.adopted.append((subscription, socket, framing))
            return (false, mailbox.adopted.count == 1)
        }
        if isFirst { eventLoop.execute { self.leave { _ in } } }
        guard isTooLate else { return }
        Glibc.close(socket)
        hub.streamClosed(.stopped, onOwnSocket: true)
    }

    func feedsGrew(_ feeds: [FeedID]) { leave { $0.grown += feeds } }

    func drain() { leave { $0.isDraining = true } }

    /// Closes all sockets and ends the thread. Called once.
    func stop() async {
        await withCheckedContinuation { continuation in leave { $0.stopping = continuation } }
    }

    private func leave(_ change: (inout Mailbox) -> Void) {
        let wasAwake = mailbox.withLock { mailbox in
            change(&mailbox)
            defer { mailbox.isAwake = true }
            return mailbox.isAwake
        }
        guard !wasAwake else { return }
        var one: UInt64 = 1
        write(bell, &one, MemoryLayout<UInt64>.size)
    }

    // MARK: The thread

    private func run() {
        var sinks = Sinks(hub: hub, listener: self, transport: SocketTransport()) { request, token in
            self.hub.replayer.read(request) { result in self.leave { $0.slices.append((token, result)) } }
        }
        var schedule = Schedule(heartbeat: hub.configuration.heartbeat)
        var events = [martlet_event](repeating: martlet_event(), count: Self.mostEvents)
        while true {
            let timeout =
                sinks.isBusy
                ? 0 : schedule.milliseconds(hasStragglers: sinks.hasStragglers, nextEnd: sinks.nextEnd)
            let count = martlet_poller_wait(poller, &events, Int32(events.count), timeout)
            let now = ContinuousClock.now
            for event in events.prefix(Int(max(0, count))) { handle(event, &sinks, now) }
            var mail = mailbox.withLock { mailbox in
                defer { mailbox = Mailbox(hasEnded: mailbox.stopping != nil) }
                return mailbox
            }
            if let stopping = mail.stopping {
                for adoption in mail.adopted { adopt(adoption, &sinks, now) }
                for token in sinks.tokens { sinks.remove(token, because: .stopped) }
                return stopping.resume()
            }
            for adoption in mail.adopted { adopt(adoption, &sinks, now) }
            for (token, result) in mail.slices { sinks.finishReading(token, result) }
            mail.slices = []
            if mail.isDraining { for token in sinks.tokens { endSoon(token, &sinks, now) } }
            sinks.grow(mail.grown)
            let start = ContinuousClock.now
            if !sinks.pending.isEmpty || !mail.grown.isEmpty {
                // Taken after the mail: whoever grows later rings the bell again.
                let tail = hub.tail.sequence
                sinks.advancePending(now: now)
                hub.reached(sinks.slowestPending ?? tail, by: self)
            }
            sinks.takeTurns(liveSince: start)
            for token in mail.changedLeases { sinks.leaseChanged(token, now: now) }
            sinks.endDue(now: now)
            if schedule.isHeartbeatDue(now: now) { sinks.beat(now: now) }
            if sinks.hasStragglers, schedule.isLookDue(now: now) { sinks.expire(now: now) }
            sinks.reportTally()
        }
    }

    private func handle(_ event: martlet_event, _ sinks: inout Sinks, _ now: ContinuousClock.Instant) {
        if event.token == Self.bellToken {
            var value: UInt64 = 0
            read(bell, &value, MemoryLayout<UInt64>.size)
            return
        }
        let token = Token(rawValue: event.token)
        if event.bits & UInt32(martlet_event_closed) != 0 { return sinks.remove(token) }
        if event.bits & UInt32(martlet_event_readable) != 0 { sinks.receive(token) }
        if event.bits & UInt32(martlet_event_writable) != 0 { sinks.resume(token, now: now) }
    }

    private func adopt(
        _ adoption: (subscription: Subscription, socket: Int32, framing: Framing), _ sinks: inout Sinks,
        _ now: ContinuousClock.Instant
    ) {
        SocketTransport.prepare(adoption.socket, timeout: hub.configuration.writeTimeout)
        let token = sinks.add(adoption.subscription, socket: adoption.socket, framing: adoption.framing)
        // The first event of the poller says whether the socket takes bytes, or is closed already.
        if martlet_poller_add(poller, adoption.socket, token.rawValue) != 0 { return sinks.remove(token) }
        sinks.end(token, at: now + hub.connectionAge(), because: .age)
        if let lease = adoption.subscription.lease {
            lease.observe { self.leave { $0.changedLeases.append(token) } }
            sinks.leaseChanged(token, now: now)
        }
        if hub.isDraining { endSoon(token, &sinks, now) }
    }

    private func endSoon(_ token: Token, _ sinks: inout Sinks, _ now: ContinuousClock.Instant) {
        sinks.end(token, at: now + .random(in: .zero...hub.configuration.grace), because: .drained)
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import CLinux
import Glibc
import MartletSupport
import NIOCore
import Synchronization

/// A thread that writes to sockets which were handed off to it: plain HTTP/1 connections after their response heads.
///
/// It sleeps until a socket, a feed or a time needs it. While it writes, the next events gather; the next pass writes all
/// of them at once, without a timer. Every pass gives each feed that has grown one slice, so that none waits for more
/// than one slice of every other.
final class SocketShard: Shard, Sendable {
    /// Work that other threads leave for this one.
    private struct Mailbox {
        var isAwake = false
        /// Not `nil`: the thread is to end, and to say so.
        var stopping: CheckedContinuation<Void, Never>?
        /// The thread has ended and reads the mailbox no more.
        var hasEnded = false
        var adopted: [Adoption] = []
        var mail = ShardMail()
    }

    private typealias Adoption = (subscription: Subscription, socket: Int32, framing: Framing)

    private let fanOut: FanOut
    private let mailbox = Mutex(Mailbox())
    private let poller: Int32
    private let bell: Int32

    private static let bellToken = UInt64.max
    /// How many sockets are looked at before the mailbox and the feeds have their turn.
    private static let mostEvents = 512

    /// - Throws: ``MartletError`` when the process has no descriptors left.
    init(fanOut: FanOut) throws {
        self.fanOut = fanOut
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
        fanOut.streamOpened(onOwnSocket: true, handOff)
        let (isTooLate, isFirst) = mailbox.withLock { mailbox in
            guard !mailbox.hasEnded else { return (true, false) }
            mailbox.adopted.append((subscription, socket, framing))
            return (false, mailbox.adopted.count == 1)
        }
        if isFirst { eventLoop.execute { self.leave { _ in } } }
        guard isTooLate else { return }
        Glibc.close(socket)
        fanOut.streamClosed(.stopped, onOwnSocket: true)
    }

    func feedsGrew(_ feeds: [FeedID]) { leave { $0.mail.grown += feeds } }

    func drain() { leave { $0.mail.isDraining = true } }

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
        var sinks = Sinks(fanOut: fanOut, listener: self, transport: SocketTransport()) { request, token in
            self.fanOut.replayer.read(request) { result in self.leave { $0.mail.slices.append((token, result)) } }
        }
        var events = [martlet_event](repeating: martlet_event(), count: Self.mostEvents)
        while true {
            let count = martlet_poller_wait(poller, &events, Int32(events.count), timeout(of: sinks))
            let now = ContinuousClock.now
            for event in events.prefix(Int(max(0, count))) { handle(event, &sinks, now) }
            var box = mailbox.withLock { mailbox in
                defer { mailbox = Mailbox(hasEnded: mailbox.stopping != nil) }
                return mailbox
            }
            for adoption in box.adopted { adopt(adoption, &sinks, now) }
            box.adopted = []
            if let stopping = box.stopping {
                for token in sinks.tokens { sinks.remove(token, because: .stopped) }
                return stopping.resume()
            }
            sinks.pass(&box.mail, now: now)
        }
    }

    /// How long there is nothing to do, in whole milliseconds, rounded up.
    private func timeout(of sinks: Sinks<SocketTransport>) -> Int32 {
        sinks.isBusy ? 0 : Int32(clamping: max(0, (sinks.nextTime - .now).milliseconds + 1))
    }

    private func handle(_ event: martlet_event, _ sinks: inout Sinks<SocketTransport>, _ now: ContinuousClock.Instant) {
        if event.token == Self.bellToken {
            var value: UInt64 = 0
            read(bell, &value, MemoryLayout<UInt64>.size)
            return
        }
        let token = SinkToken(rawValue: event.token)
        if event.bits & UInt32(martlet_event_closed) != 0 { return sinks.remove(token) }
        if event.bits & UInt32(martlet_event_readable) != 0 { sinks.receive(token) }
        if event.bits & UInt32(martlet_event_writable) != 0 { sinks.resume(token, now: now) }
    }

    private func adopt(_ adoption: Adoption, _ sinks: inout Sinks<SocketTransport>, _ now: ContinuousClock.Instant) {
        SocketTransport.prepare(adoption.socket, timeout: fanOut.configuration.writeTimeout)
        let token = sinks.add(
            adoption.subscription, socket: adoption.socket, framing: adoption.framing, now: now
        ) { token in self.leave { $0.mail.changedLeases.append(token) } }
        // The first event of the poller says whether the socket takes bytes, or is closed already.
        if martlet_poller_add(poller, adoption.socket, token.rawValue) != 0 { sinks.remove(token) }
    }
}

/// Real sockets, which do not block.
struct SocketTransport: Transport {
    static let hasOwnSockets = true

    /// The most that a client may send at once behind its request; a stream is for reading.
    private static let mostInput = 16 * chunk
    private static let chunk = 64 * 1024

    /// Has a socket send small events at once, and give up a peer that acknowledges nothing for too long.
    static func prepare(_ socket: Int32, timeout: Duration) {
        var on: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var milliseconds = UInt32(clamping: timeout.milliseconds)
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &milliseconds, socklen_t(MemoryLayout<UInt32>.size))
    }

    private var scratch = [UInt8](repeating: 0, count: chunk)

    mutating func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult {
        while true {
            let count = Glibc.send(socket, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            if count >= 0 { return .sent(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN, ENOBUFS: return .sent(0)
            default: return .broken
            }
        }
    }

    mutating func discardInput(of socket: Int32) -> Bool {
        var total = 0
        while total < Self.mostInput {
            let count = recv(socket, &scratch, scratch.count, Int32(MSG_DONTWAIT))
            if count > 0 {
                total += count
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return count < 0 && errno == EAGAIN
            }
        }
        return false
    }

    mutating func finish(_ socket: Int32) { shutdown(socket, Int32(SHUT_WR)) }

    mutating func close(_ socket: Int32) { Glibc.close(socket) }
}
#endif

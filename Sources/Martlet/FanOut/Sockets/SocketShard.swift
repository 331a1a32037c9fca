// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import CLinux
import Glibc
import MartletSupport
import NIOCore
import Synchronization

/// A thread that writes to sockets: those that were handed off to it, plain HTTP/1 connections after their response heads,
/// and those that it has accepted itself, through its ``Door``.
///
/// It sleeps until a socket, a feed, a task or a time needs it. While it writes, the next events gather; the next pass
/// writes all of them at once, without a timer. Every pass gives each feed that has grown one slice, so that none waits for
/// more than one slice of every other. In each turn new connections and requests have a bounded time.
///
/// Tasks that answer requests of its door run on it, so no thread has to wake another for them. They must not block.
final class SocketShard: Shard, TaskExecutor, Sendable {
    /// Work that other threads leave for this one.
    private struct Mailbox {
        /// Whether the thread looks into the mailbox before it sleeps.
        var isAwake = false
        /// Not `nil`: the thread is to end, and to say so.
        var stopping: CheckedContinuation<Void, Never>?
        /// The thread has ended and reads the mailbox no more.
        var hasEnded = false
        var adopted: [Adoption] = []
        var mail = ShardMail()
        var jobs: [UnownedJob] = []
        /// Listeners to accept connections from, which the shard closes.
        var openedDoors: [(listener: Int32, keeper: any DoorKeeper)] = []
        var closedDoors: [any DoorKeeper] = []
        var answers: [(token: DoorToken, result: Result<DoorAnswer, any Error>)] = []

        /// Whether nothing is left for the thread.
        var isEmpty: Bool {
            stopping == nil && adopted.isEmpty && mail.isEmpty && jobs.isEmpty && openedDoors.isEmpty
                && closedDoors.isEmpty && answers.isEmpty
        }
    }

    private typealias Adoption = (subscription: Subscription, socket: Int32, framing: Framing)

    private let fanOut: FanOut
    private let mailbox = Mutex(Mailbox())
    private let poller: Int32
    private let bell: Int32

    private static let bellToken = UInt64.max
    /// The descriptors of listeners have tokens from here on.
    private static let listenerTokens = UInt64.max << 32
    /// How many sockets are looked at before the mailbox and the feeds have their turn.
    private static let mostEvents = 512
    /// How often the mailbox is emptied in a turn: a task often leaves what the next one waits for.
    private static let mostRounds = 4

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
        fanOut.onStreamEnd?(EndedStream(subscription, because: .stopped))
    }

    /// Accepts connections of a listening socket from now on. The shard gets a descriptor of its own.
    ///
    /// - Returns: `false` if no descriptors are left, or the thread has ended. Others must accept then.
    func open(_ listener: Int32, _ keeper: any DoorKeeper) -> Bool {
        let own = fcntl(listener, F_DUPFD_CLOEXEC, 0)
        guard own >= 0 else { return false }
        let isTaken = leave { $0.openedDoors.append((own, keeper)) }
        if !isTaken { Glibc.close(own) }
        return isTaken
    }

    /// Accepts no more connections of a keeper.
    func close(_ keeper: any DoorKeeper) { leave { $0.closedDoors.append(keeper) } }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if !leave({ $0.jobs.append(job) }) { globalConcurrentExecutor.enqueue(ExecutorJob(job)) }
    }

    func feedsGrew(_ feeds: [FeedID]) { leave { $0.mail.grown += feeds } }

    func drain() { leave { $0.mail.isDraining = true } }

    /// Closes all sockets and ends the thread. Called once.
    func stop() async {
        await withCheckedContinuation { continuation in leave { $0.stopping = continuation } }
    }

    /// Returns whether the thread will look at it: it does so until it ends.
    @discardableResult
    private func leave(_ change: (inout Mailbox) -> Void) -> Bool {
        let (hasEnded, wasAwake) = mailbox.withLock { mailbox in
            guard !mailbox.hasEnded else { return (true, true) }
            change(&mailbox)
            defer { mailbox.isAwake = true }
            return (false, mailbox.isAwake)
        }
        if !wasAwake {
            var one: UInt64 = 1
            write(bell, &one, MemoryLayout<UInt64>.size)
        }
        return !hasEnded
    }

    // MARK: The thread

    private func run() {
        var sinks = Sinks(fanOut: fanOut, listener: self, transport: SocketTransport(poller: poller)) {
            request, token in
            self.fanOut.replayer.read(request) { result in self.leave { $0.mail.slices.append((token, result)) } }
        }
        var door = Door(transport: DoorSockets(poller: poller)) { token, request in
            Task(executorPreference: self) {
                let result: Result<DoorAnswer, any Error>
                do { result = .success(try await request.answer()) } catch { result = .failure(error) }
                self.leave { $0.answers.append((token, result)) }
            }
        }
        defer { door.deallocate() }
        var events = [martlet_event](repeating: martlet_event(), count: Self.mostEvents)
        while true {
            let isQuiet = !sinks.isBusy && !door.isBusy && sleeps()
            let timeout = isQuiet ? min(timeout(until: sinks.nextTime), timeout(until: door.nextTime)) : 0
            let count = martlet_poller_wait(poller, &events, Int32(events.count), timeout)
            // The door has a time for each connection, so it counts in plain numbers.
            let (now, uptime) = (ContinuousClock.now, NIODeadline.now())
            for index in 0..<Int(max(0, count)) { handle(events[index], &sinks, &door, now, uptime) }
            if door.hasTurns { door.takeTurns(until: uptime + Door<DoorSockets>.turn) }
            var mail = ShardMail()
            for _ in 0..<Self.mostRounds {
                if door.hasAnswered { fanOut.immediateLog?.announceAppended() }
                door.hasAnswered = false
                let box = takeMail()
                for job in box.jobs { job.runSynchronously(on: asUnownedTaskExecutor()) }
                for (listener, keeper) in box.openedDoors { door.open(listener, keeper) }
                for keeper in box.closedDoors {
                    for listener in door.close(keeper, now: uptime) { Glibc.close(listener) }
                }
                for (token, result) in box.answers { door.finish(token, result, now: uptime) }
                for adoption in box.adopted { adopt(adoption, &sinks, now) }
                for stream in door.takeStreams() { adopt(stream, &sinks, now) }
                mail.add(box.mail)
                if let stopping = box.stopping {
                    for listener in door.stop() { Glibc.close(listener) }
                    for token in sinks.tokens { sinks.remove(token, because: .stopped) }
                    return stopping.resume()
                }
                if box.jobs.isEmpty, box.answers.isEmpty, !door.hasAnswered { break }
            }
            // First, so that publishers can go on while their events are written.
            door.flushAnswers(now: uptime)
            sinks.pass(&mail, now: now)
            if door.nextTime <= uptime { door.expire(now: uptime) }
        }
    }

    /// Whether the mailbox is empty. From then on the bell rings for what is left in it.
    private func sleeps() -> Bool {
        mailbox.withLock { mailbox in
            mailbox.isAwake = !mailbox.isEmpty
            return !mailbox.isAwake
        }
    }

    private func takeMail() -> Mailbox {
        mailbox.withLock { mailbox in
            if mailbox.isEmpty {
                mailbox.isAwake = true
                return Mailbox()
            }
            let box = mailbox
            mailbox = Mailbox(isAwake: true, hasEnded: box.stopping != nil)
            return box
        }
    }

    /// How long it is until a time, in whole milliseconds, rounded up.
    private func timeout(until time: ContinuousClock.Instant) -> Int32 {
        Int32(clamping: max(0, (time - .now).milliseconds + 1))
    }

    private func timeout(until time: NIODeadline) -> Int32 {
        Int32(clamping: max(0, (time - .now()).nanoseconds / 1_000_000 + 1))
    }

    private func handle(
        _ event: martlet_event, _ sinks: inout Sinks<SocketTransport>, _ door: inout Door<DoorSockets>,
        _ now: ContinuousClock.Instant, _ uptime: NIODeadline
    ) {
        if event.token == Self.bellToken {
            var value: UInt64 = 0
            read(bell, &value, MemoryLayout<UInt64>.size)
        } else if event.token >= Self.listenerTokens {
            door.listenerIsReady(Int32(truncatingIfNeeded: event.token & 0x7FFF_FFFF))
        } else if let token = DoorToken(rawValue: event.token) {
            if event.bits & UInt32(martlet_event_writable) != 0 { door.writable(token, now: uptime) }
            let hasEnded = event.bits & UInt32(martlet_event_closed) != 0
            // The end is read behind what the client has sent.
            if hasEnded || event.bits & UInt32(martlet_event_readable) != 0 {
                door.readable(token, hasEnded: hasEnded)
            }
        } else {
            let token = SinkToken(rawValue: event.token)
            if event.bits & UInt32(martlet_event_closed) != 0 { return sinks.remove(token) }
            if event.bits & UInt32(martlet_event_readable) != 0 { sinks.receive(token) }
            if event.bits & UInt32(martlet_event_writable) != 0 { sinks.resume(token, now: now) }
        }
    }

    private func adopt(_ adoption: Adoption, _ sinks: inout Sinks<SocketTransport>, _ now: ContinuousClock.Instant) {
        SocketTransport.prepare(adoption.socket, timeout: fanOut.configuration.writeTimeout)
        let token = sinks.add(
            adoption.subscription, socket: adoption.socket, framing: adoption.framing, now: now
        ) { token in self.leave { $0.mail.changedLeases.append(token) } }
        begin(token, adoption.socket, martlet_poller_add_reader, &sinks, now)
    }

    private func adopt(_ stream: DoorStream, _ sinks: inout Sinks<SocketTransport>, _ now: ContinuousClock.Instant) {
        fanOut.streamOpened(onOwnSocket: true) { stream.keeper.leave(stream.admission) }
        let token = sinks.add(
            stream.subscription, socket: stream.socket, framing: stream.framing, rest: stream.unsent, now: now
        ) { token in self.leave { $0.mail.changedLeases.append(token) } }
        let add = stream.isWatched ? martlet_poller_rename : martlet_poller_add_reader
        begin(token, stream.socket, add, &sinks, now)
    }

    /// Has a stream begin: its socket is watched, and nothing is known of it but that it takes bytes.
    private func begin(
        _ token: SinkToken, _ socket: Int32, _ watch: (Int32, Int32, UInt64) -> Int32,
        _ sinks: inout Sinks<SocketTransport>, _ now: ContinuousClock.Instant
    ) {
        if watch(poller, socket, token.rawValue) != 0 { return sinks.remove(token) }
        sinks.resume(token, now: now)
    }

    /// The number under which the poller reports a listener.
    static func token(ofListener listener: Int32) -> UInt64 { listenerTokens | UInt64(UInt32(bitPattern: listener)) }
}

/// Real sockets, which do not block.
package struct SocketTransport: Transport {
    static let hasOwnSockets = true

    /// The most that a client may send at once behind its request; a stream is for reading.
    private static let mostInput = 16 * chunk
    private static let chunk = 64 * 1024

    /// Has a socket send small events at once, and give up a peer that acknowledges nothing for too long.
    package static func prepare(_ socket: Int32, timeout: Duration) {
        var on: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var milliseconds = UInt32(clamping: timeout.milliseconds)
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &milliseconds, socklen_t(MemoryLayout<UInt32>.size))
    }

    private let poller: Int32
    private var scratch = [UInt8](repeating: 0, count: chunk)

    init(poller: Int32) { self.poller = poller }

    mutating func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult {
        SendResult(sending: bytes, to: socket)
    }

    func watchWriting(_ socket: Int32, _ token: SinkToken) {
        // It fails only without memory. The write timeout ends the stream then.
        _ = martlet_poller_watch_writing(poller, socket, token.rawValue)
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

extension SendResult {
    /// Sends as much as a socket takes, without waiting.
    fileprivate init(sending bytes: UnsafeRawBufferPointer, to socket: Int32) {
        while true {
            let count = Glibc.send(socket, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            if count >= 0 {
                self = .sent(count)
                return
            }
            switch errno {
            case EINTR: continue
            case EAGAIN, ENOBUFS: self = .sent(0)
            default: self = .broken
            }
            return
        }
    }
}

/// Real sockets of a door.
struct DoorSockets: DoorTransport {
    private let poller: Int32

    init(poller: Int32) { self.poller = poller }

    func accept(from listener: Int32) -> AcceptResult {
        var address = martlet_address()
        while true {
            let socket = martlet_accept(listener, &address)
            if socket >= 0 { return .accepted(socket, from: SocketAddress(address)) }
            switch errno {
            // The next may be another.
            case EINTR, ECONNABORTED, EPERM, EPROTO: continue
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .shortage(errno: errno)
            default: return .nothing
            }
        }
    }

    func watch(listener: Int32) {
        // It fails only without memory. The other shards accept then.
        _ = martlet_poller_add_listener(poller, listener, SocketShard.token(ofListener: listener))
    }

    func receive(from socket: Int32, into bytes: UnsafeMutableRawBufferPointer) -> ReceiveResult {
        while true {
            let count = recv(socket, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT))
            if count > 0 { return .received(count) }
            if count == 0 { return .end }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothing
            default: return .broken
            }
        }
    }

    func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult {
        SendResult(sending: bytes, to: socket)
    }

    func watch(_ socket: Int32, _ token: DoorToken) -> Bool {
        martlet_poller_add_reader(poller, socket, token.rawValue) == 0
    }

    func watchWriting(_ socket: Int32, _ token: DoorToken) {
        // It fails only without memory. The write timeout ends the connection then.
        _ = martlet_poller_watch_writing(poller, socket, token.rawValue)
    }

    func unwatch(_ socket: Int32) { _ = martlet_poller_remove(poller, socket) }

    func close(_ socket: Int32) { Glibc.close(socket) }
}

extension SocketAddress {
    /// `nil` for addresses of other families than those of the internet and of this machine.
    fileprivate init?(_ address: martlet_address) {
        let found: SocketAddress? = withUnsafeBytes(of: address.bytes) { bytes in
            switch address.family {
            // The host would only be for people.
            case AF_INET: SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self), host: "")
            case AF_INET6: SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self), host: "")
            case AF_UNIX: try? SocketAddress(unixDomainSocketPath: "")
            default: nil
            }
        }
        guard let found else { return nil }
        self = found
    }
}
#endif

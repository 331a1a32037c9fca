// SPDX-License-Identifier: Apache-2.0

import DequeModule
import NIOCore

/// Names a connection of a door; never names another after it is gone.
struct DoorToken: Hashable, Sendable {
    var index: Int32
    var generation: UInt32

    /// No index of a sink is negative, so the highest bit of the index tells the two kinds apart.
    private static let mark: UInt64 = 0x8000_0000

    init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    /// `nil` if the number does not name a connection of a door.
    init?(rawValue: UInt64) {
        guard rawValue & Self.mark != 0 else { return nil }
        self.init(index: Int32(truncatingIfNeeded: rawValue & ~Self.mark), generation: UInt32(rawValue >> 32))
    }

    /// As one number, for the poller.
    var rawValue: UInt64 { UInt64(generation) << 32 | Self.mark | UInt64(UInt32(bitPattern: index)) }
}

/// How a door touches its sockets; in tests a simulation.
protocol DoorTransport {
    mutating func accept(from listener: Int32) -> AcceptResult

    /// Says from now on when a listener has connections.
    mutating func watch(listener: Int32)

    mutating func receive(from socket: Int32, into bytes: UnsafeMutableRawBufferPointer) -> ReceiveResult

    mutating func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult

    /// From now on it is said when the socket has something to read. Returns whether that is possible.
    mutating func watch(_ socket: Int32, _ token: DoorToken) -> Bool

    /// From now on it is also said when the socket takes bytes again.
    mutating func watchWriting(_ socket: Int32, _ token: DoorToken)

    /// It is said no more.
    mutating func unwatch(_ socket: Int32)

    mutating func close(_ socket: Int32)
}

enum AcceptResult {
    case accepted(Int32, from: SocketAddress?)
    /// No connection waits.
    case nothing
    /// Connections wait, and the process has no descriptors left.
    case shortage(errno: Int32)
}

enum ReceiveResult: Hashable, Sendable {
    /// So many bytes, at least one.
    case received(Int)
    /// Nothing is there now.
    case nothing
    /// The client sends nothing more.
    case end
    /// The connection is gone.
    case broken
}

/// A stream that a door has begun: its head and its first blocks are written, as far as the socket took them.
struct DoorStream {
    let subscription: Subscription
    let socket: Int32
    let framing: Framing
    /// What the socket has not taken.
    let unsent: [UInt8]
    /// Whether the poller watches the socket already.
    let isWatched: Bool
    let admission: ConnectionAdmission
    let keeper: any DoorKeeper
}

/// Accepts connections on the thread of a shard, and answers plain requests there. What it cannot answer at once and
/// exactly as the server would, it gives to the server, with all bytes.
///
/// - A request that is not complete soon after it has begun goes to the server, whose timers judge slow clients.
/// - A connection that sends no request is closed after a while.
/// - Requests of one connection are answered in their order, one at a time.
/// - In each turn, the connections have a bounded time.
struct Door<T: DoorTransport> {
    private struct Connection {
        var socket: Int32 = -1
        var generation: UInt32 = 0
        var keeper: (any DoorKeeper)?
        var admission = ConnectionAdmission.admitted
        var peer = ConnectionPeer()
        /// The bytes that were read and are not answered yet.
        var input: [UInt8] = []
        /// The answers that are not sent yet.
        var output: [UInt8] = []
        /// The length of the request whose answer is awaited; 0 for none.
        var awaited = 0
        var isWatched = false
        var watchesWriting = false
        /// Whether it waits for its turn to be read.
        var isInLine = false
        /// Whether it waits for the end of the turn to be sent its answers.
        var isInFlush = false
        /// Whether there may be something to read.
        var isReadable = false
        /// Whether the end of what the client sends is behind what there is to read.
        var isEnding = false
        /// Whether the socket is full.
        var isBlocked = false
        /// Whether the client sends nothing more.
        var hasEnded = false
        /// Whether it goes to the server once its answers are sent.
        var isLeaving = false
        var wait = Wait.request
        /// When the wait is over.
        var deadline = NIODeadline.distantFuture
        /// When the client must have taken its answers; `nil`: none are left over.
        var takeDeadline: NIODeadline?
        /// Whether it is in the queue of those that wait for a request; it stays there while its requests are answered.
        var isIdleQueued = false
        /// Whether there may be requests in the input that were not looked at.
        var isHeldUp = false
        /// Whether they have to wait until a pause is over.
        var isPaused = false
        /// How often more of an incomplete request has come.
        var pieces = 0
    }

    /// What a connection waits for, for a bounded time. It may wait for room and for something else.
    private enum Wait: Int {
        /// A request. The connection is closed after the idle timeout.
        case request
        /// The rest of a request. The server gets the connection after the patience.
        case rest
        /// That the client takes its answers. The connection is closed after the write timeout.
        case room
        /// That a pause is over.
        case pause
        /// The answer of the keeper. The time is the keeper's.
        case answer
    }

    /// The most bytes of a request, and of answers that a client has not taken.
    static var mostBytes: Int { 64 * 1024 }
    /// How long a request may be incomplete before the server gets its connection, and in how many pieces it may come:
    /// each is read from the beginning.
    static var patience: TimeAmount { .seconds(1) }
    static var mostPieces: Int { 16 }
    /// How long the connections may take in a turn.
    static var turn: TimeAmount { .milliseconds(1) }
    /// The most requests that one connection is answered before the others have their turn.
    static var mostRequests: Int { 8 }
    /// How long a connection waits after a refusal before its next request is looked at.
    static var pause: TimeAmount { .milliseconds(100) }
    /// How long nothing is accepted when no descriptors are left.
    static var acceptPause: TimeAmount { .milliseconds(200) }

    private struct Listener {
        let socket: Int32
        let keeper: any DoorKeeper
        var isReady = false
        /// Until when nothing is accepted.
        var pauseEnd: NIODeadline?
    }

    private let launch: (DoorToken, any DoorRequest) -> Void
    var transport: T
    private var connections: [Connection] = []
    private var free: [Int32] = []
    private var listeners: [Listener] = []
    /// Connections that may have something to read.
    private var line: Deque<DoorToken> = []
    /// Connections with answers that are sent at the end of the turn.
    private var flushes: [DoorToken] = []
    /// For each wait the connections that may be in it, in the order of their deadlines.
    private var queues: [Deque<(token: DoorToken, deadline: NIODeadline)>] = [[], [], [], []]
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: mostBytes, alignment: 16)
    /// The streams that have begun in this turn.
    private(set) var streams: [DoorStream] = []
    /// Whether something may have been published in this turn.
    var hasAnswered = false

    /// - Parameter launch: Has a request answered; the answer comes back through ``finish(_:_:now:)``.
    init(transport: T, launch: @escaping (DoorToken, any DoorRequest) -> Void) {
        self.transport = transport
        self.launch = launch
    }

    func deallocate() { scratch.deallocate() }

    /// Whether there is something to do that waits for nothing.
    var isBusy: Bool { hasTurns || hasAnswered || !flushes.isEmpty || !streams.isEmpty }
    /// Whether there are connections to read or to accept.
    var hasTurns: Bool { !line.isEmpty || listeners.contains { $0.isReady } }

    /// When there is something to do that waits for nothing but time.
    var nextTime: NIODeadline {
        var next = NIODeadline.distantFuture
        for queue in queues { if let first = queue.first { next = min(next, first.deadline) } }
        for index in listeners.indices { if let end = listeners[index].pauseEnd { next = min(next, end) } }
        return next
    }

    var count: Int { connections.count - free.count }

    // MARK: Listeners

    mutating func open(_ listener: Int32, _ keeper: any DoorKeeper) {
        listeners.append(Listener(socket: listener, keeper: keeper))
        transport.watch(listener: listener)
    }

    /// Accepts no more connections of a keeper, and closes those that wait for a request. Returns its listeners.
    mutating func close(_ keeper: any DoorKeeper, now: NIODeadline) -> [Int32] {
        let closed = listeners.filter { $0.keeper === keeper }.map(\.socket)
        for listener in closed { transport.unwatch(listener) }
        listeners.removeAll { $0.keeper === keeper }
        for index in connections.indices where connections[index].keeper === keeper {
            let index = Int32(index)
            if connections[Int(index)].awaited > 0 || !connections[Int(index)].output.isEmpty {
                connections[Int(index)].isLeaving = true
            } else if connections[Int(index)].input.isEmpty {
                remove(index)
            } else {
                give(index)
            }
        }
        return closed
    }

    mutating func listenerIsReady(_ listener: Int32) {
        for index in listeners.indices where listeners[index].socket == listener { listeners[index].isReady = true }
    }

    /// Closes all connections. Returns the listeners.
    mutating func stop() -> [Int32] {
        for index in connections.indices where connections[index].socket >= 0 { remove(Int32(index)) }
        defer { listeners = [] }
        return listeners.map(\.socket)
    }

    // MARK: A turn

    /// - Parameter hasEnded: Whether the client sends nothing more behind it. It is not said again.
    mutating func readable(_ token: DoorToken, hasEnded: Bool) {
        guard let index = index(of: token) else { return }
        connections[Int(index)].isReadable = true
        if hasEnded { connections[Int(index)].isEnding = true }
        lineUp(index)
    }

    mutating func writable(_ token: DoorToken, now: NIODeadline) {
        guard let index = index(of: token) else { return }
        connections[Int(index)].isBlocked = false
        flush(index, now: now)
    }

    /// Reads those that have something to read, and accepts new connections, until their time is over.
    ///
    /// - Parameter end: When it is over.
    mutating func takeTurns(until end: NIODeadline, clock: () -> NIODeadline = { .now() }) {
        var now = clock()
        while now < end, hasTurns {
            if let token = line.popFirst(), let index = index(of: token) {
                connections[Int(index)].isInLine = false
                if connections[Int(index)].isHeldUp { goOn(index, now: now) } else { read(index, now: now) }
            }
            acceptOne(now: now)
            now = clock()
        }
    }

    private mutating func acceptOne(now: NIODeadline) {
        for index in listeners.indices where listeners[index].isReady {
            switch transport.accept(from: listeners[index].socket) {
            case .accepted(let socket, let address):
                let keeper = listeners[index].keeper
                let (admission, peer) = keeper.enter(from: address)
                switch admission {
                case .closed: transport.close(socket)
                case .refused: keeper.give(socket, [], admission, peer)
                case .admitted: read(add(socket, peer, keeper), now: now)
                }
            case .nothing:
                listeners[index].isReady = false
            case .shortage(let errno):
                listeners[index].isReady = false
                // Its poller would report it again at once.
                transport.unwatch(listeners[index].socket)
                listeners[index].pauseEnd = now + Self.acceptPause
                listeners[index].keeper.cannotAccept(errno)
            }
        }
    }

    private mutating func add(_ socket: Int32, _ peer: ConnectionPeer, _ keeper: any DoorKeeper) -> Int32 {
        let index = free.popLast() ?? Int32(connections.count)
        if index == connections.count { connections.append(Connection()) }
        connections[Int(index)].socket = socket
        connections[Int(index)].peer = peer
        connections[Int(index)].keeper = keeper
        return index
    }

    /// Reads what is there, and answers it.
    private mutating func read(_ index: Int32, now: NIODeadline) {
        connections[Int(index)].isReadable = false
        guard connections[Int(index)].output.count < Self.mostBytes, connections[Int(index)].awaited == 0,
            !connections[Int(index)].isLeaving
        else {
            // It is read once there is room.
            connections[Int(index)].isReadable = true
            return
        }
        switch transport.receive(from: connections[Int(index)].socket, into: scratch) {
        case .received(let count):
            // All that was there, unless the buffer is full.
            if count == scratch.count || connections[Int(index)].isEnding {
                connections[Int(index)].isReadable = true
                lineUp(index)
            }
            if connections[Int(index)].input.isEmpty {
                take(index, from: UnsafeRawBufferPointer(rebasing: scratch[..<count]), now: now)
            } else {
                connections[Int(index)].input += UnsafeRawBufferPointer(rebasing: scratch[..<count])
                takeInput(index, now: now)
            }
        case .nothing:
            wait(index, now: now)
        case .end:
            connections[Int(index)].hasEnded = true
            end(index)
        case .broken:
            remove(index)
        }
    }

    /// Takes requests that were read before.
    private mutating func goOn(_ index: Int32, now: NIODeadline) {
        // It is lined up once there is room.
        guard connections[Int(index)].output.count < Self.mostBytes, !connections[Int(index)].isLeaving,
            !connections[Int(index)].isPaused
        else { return }
        connections[Int(index)].isHeldUp = false
        takeInput(index, now: now)
        if !connections[Int(index)].isHeldUp { resumeReading(index) }
    }

    private mutating func takeInput(_ index: Int32, now: NIODeadline) {
        let input = connections[Int(index)].input
        connections[Int(index)].input = []
        input.withUnsafeBytes { take(index, from: $0, now: now) }
    }

    /// Answers the requests in some bytes, and keeps the rest.
    private mutating func take(_ index: Int32, from bytes: UnsafeRawBufferPointer, now: NIODeadline) {
        guard let keeper = connections[Int(index)].keeper else { return }
        var rest = bytes[...]
        var answered = 0
        while !rest.isEmpty {
            let some = UnsafeRawBufferPointer(rebasing: rest)
            switch keeper.read(some, from: connections[Int(index)].peer) {
            case .incomplete where rest.count < Self.mostBytes && connections[Int(index)].pieces + 1 < Self.mostPieces:
                connections[Int(index)].input = Array(some)
                connections[Int(index)].pieces += 1
                if connections[Int(index)].hasEnded { return give(index) }
                return wait(index, now: now)
            case .incomplete, .other:
                connections[Int(index)].input = Array(some)
                return give(index)
            case .header(let peer, let admission, let length):
                rest = rest.dropFirst(length)
                connections[Int(index)].pieces = 0
                connections[Int(index)].peer = peer
                connections[Int(index)].admission = admission
                switch admission {
                case .admitted: break
                case .refused: return handOver(index, Array(rest))
                case .closed: return remove(index)
                }
            case .request(let request, let length):
                do {
                    connections[Int(index)].pieces = 0
                    connections[Int(index)].wait = .answer
                    guard let answer = try request.answerNow() else {
                        connections[Int(index)].input = Array(some)
                        connections[Int(index)].awaited = length
                        return launch(token(of: index), request)
                    }
                    rest = rest.dropFirst(length)
                    answered += 1
                    switch answer {
                    case .stream: return begin(index, answer)
                    case .bytes(let bytes): reply(index, bytes)
                    case .refusal(let bytes):
                        reply(index, bytes)
                        connections[Int(index)].input = Array(UnsafeRawBufferPointer(rebasing: rest))
                        return pause(index, now: now)
                    case .last(let bytes): return end(index, with: bytes)
                    }
                    // Its next requests are answered when it has taken these answers.
                    let isFull = connections[Int(index)].output.count >= Self.mostBytes
                    if isFull || answered >= Self.mostRequests, !rest.isEmpty {
                        connections[Int(index)].isHeldUp = true
                        connections[Int(index)].input = Array(UnsafeRawBufferPointer(rebasing: rest))
                        if !isFull { lineUp(index) }
                        return
                    }
                } catch {
                    connections[Int(index)].input = Array(some)
                    return give(index)
                }
            }
        }
        wait(index, now: now)
    }

    /// The answer of a request that had to wait, or the error that has the server answer it.
    mutating func finish(_ token: DoorToken, _ result: Result<DoorAnswer, any Error>, now: NIODeadline) {
        // It may have published, even if its client has left. A stream has not.
        if case .success(.bytes) = result { hasAnswered = true }
        guard let index = index(of: token) else { return }
        let length = connections[Int(index)].awaited
        connections[Int(index)].awaited = 0
        switch result {
        case .failure: give(index)
        case .success(.bytes(let bytes)):
            connections[Int(index)].input.removeFirst(length)
            reply(index, bytes)
            if connections[Int(index)].isLeaving { return }
            if connections[Int(index)].input.isEmpty { wait(index, now: now) } else { takeInput(index, now: now) }
            resumeReading(index)
        case .success(.refusal(let bytes)):
            connections[Int(index)].input.removeFirst(length)
            reply(index, bytes)
            if !connections[Int(index)].isLeaving { pause(index, now: now) }
        case .success(.last(let bytes)): end(index, with: bytes)
        case .success(let answer): begin(index, answer)
        }
    }

    /// Closes a connection behind an answer. What the client has sent behind its request is not looked at.
    private mutating func end(_ index: Int32, with bytes: [UInt8]) {
        connections[Int(index)].input = []
        connections[Int(index)].isLeaving = true
        reply(index, bytes)
    }

    /// Has the next requests of a connection wait.
    private mutating func pause(_ index: Int32, now: NIODeadline) {
        connections[Int(index)].isHeldUp = true
        connections[Int(index)].isPaused = true
        queues[Wait.pause.rawValue].append((token(of: index), now + Self.pause))
    }

    private mutating func resumeReading(_ index: Int32) {
        guard connections[Int(index)].socket >= 0 else { return }
        if connections[Int(index)].hasEnded { return end(index) }
        if connections[Int(index)].isReadable { lineUp(index) }
    }

    private mutating func reply(_ index: Int32, _ bytes: [UInt8]) {
        hasAnswered = true
        if connections[Int(index)].output.isEmpty {
            connections[Int(index)].output = bytes
        } else {
            connections[Int(index)].output += bytes
        }
        if !connections[Int(index)].isInFlush {
            connections[Int(index)].isInFlush = true
            flushes.append(token(of: index))
        }
    }

    private mutating func begin(_ index: Int32, _ answer: DoorAnswer) {
        guard case .stream(let subscription, let opening, let framing) = answer,
            let keeper = connections[Int(index)].keeper
        else { return }
        let (socket, output) = (connections[Int(index)].socket, connections[Int(index)].output)
        let bytes = output.isEmpty ? opening : output + opening
        let isBlocked = connections[Int(index)].isBlocked
        switch isBlocked ? .sent(0) : bytes.withUnsafeBytes({ transport.send($0, to: socket) }) {
        case .broken: remove(index)
        case .sent(let count):
            let unsent = count == bytes.count ? [] : Array(bytes[count...])
            streams.append(
                DoorStream(
                    subscription: subscription, socket: socket, framing: framing, unsent: unsent,
                    isWatched: connections[Int(index)].isWatched, admission: connections[Int(index)].admission,
                    keeper: keeper))
            forget(index)
        }
    }

    /// The streams that have begun, which go on elsewhere.
    mutating func takeStreams() -> [DoorStream] {
        guard !streams.isEmpty else { return [] }
        defer { streams = [] }
        return streams
    }

    // MARK: Answers

    /// Sends the answers of the turn.
    mutating func flushAnswers(now: NIODeadline) {
        guard !flushes.isEmpty else { return }
        let tokens = flushes
        flushes.removeAll(keepingCapacity: true)
        for token in tokens {
            guard let index = index(of: token) else { continue }
            connections[Int(index)].isInFlush = false
            flush(index, now: now)
        }
    }

    private mutating func flush(_ index: Int32, now: NIODeadline) {
        let output = connections[Int(index)].output
        if !output.isEmpty {
            guard !connections[Int(index)].isBlocked else { return }
            switch output.withUnsafeBytes({ transport.send($0, to: connections[Int(index)].socket) }) {
            case .broken:
                return remove(index)
            case .sent(let count) where count < output.count:
                connections[Int(index)].output.removeFirst(count)
                return block(index, hasTaken: count > 0, now: now)
            case .sent:
                connections[Int(index)].output = []
                connections[Int(index)].takeDeadline = nil
            }
        }
        guard connections[Int(index)].awaited == 0 else { return }
        if connections[Int(index)].isLeaving { return leave(index) }
        if connections[Int(index)].isHeldUp { lineUp(index) } else { resumeReading(index) }
    }

    /// The socket of a connection is full.
    private mutating func block(_ index: Int32, hasTaken: Bool, now: NIODeadline) {
        guard let keeper = connections[Int(index)].keeper else { return }
        connections[Int(index)].isBlocked = true
        if hasTaken || connections[Int(index)].takeDeadline == nil {
            let deadline = now + keeper.writeTimeout
            connections[Int(index)].takeDeadline = deadline
            queues[Wait.room.rawValue].append((token(of: index), deadline))
        }
        guard !connections[Int(index)].watchesWriting else { return }
        connections[Int(index)].watchesWriting = true
        guard connections[Int(index)].isWatched || watch(index) else { return }
        transport.watchWriting(connections[Int(index)].socket, token(of: index))
    }

    // MARK: Waiting

    /// Has a connection wait for a request, or for the rest of one.
    private mutating func wait(_ index: Int32, now: NIODeadline) {
        if connections[Int(index)].hasEnded { return end(index) }
        guard connections[Int(index)].isWatched || watch(index), let keeper = connections[Int(index)].keeper else {
            return
        }
        if !connections[Int(index)].input.isEmpty {
            // From the first piece on.
            if connections[Int(index)].wait != .rest { time(index, .rest, until: now + Self.patience) }
        } else if connections[Int(index)].isIdleQueued {
            connections[Int(index)].wait = .request
            connections[Int(index)].deadline = now + keeper.idleTimeout
        } else {
            connections[Int(index)].isIdleQueued = true
            time(index, .request, until: now + keeper.idleTimeout)
        }
    }

    private mutating func time(_ index: Int32, _ wait: Wait, until deadline: NIODeadline) {
        connections[Int(index)].wait = wait
        connections[Int(index)].deadline = deadline
        queues[wait.rawValue].append((token(of: index), deadline))
    }

    /// Returns whether the connection is still there.
    private mutating func watch(_ index: Int32) -> Bool {
        connections[Int(index)].isWatched = transport.watch(connections[Int(index)].socket, token(of: index))
        if !connections[Int(index)].isWatched { remove(index) }
        return connections[Int(index)].isWatched
    }

    /// Judges those whose time has come.
    mutating func expire(now: NIODeadline) {
        for wait in [Wait.request, .rest, .room, .pause] {
            while let (token, deadline) = queues[wait.rawValue].first, deadline <= now {
                queues[wait.rawValue].removeFirst()
                guard let index = index(of: token) else { continue }
                expire(index, wait, now: now)
            }
        }
        for index in listeners.indices {
            guard let end = listeners[index].pauseEnd, end <= now else { continue }
            listeners[index].pauseEnd = nil
            transport.watch(listener: listeners[index].socket)
        }
    }

    private mutating func expire(_ index: Int32, _ wait: Wait, now: NIODeadline) {
        let connection = connections[Int(index)]
        switch wait {
        case .request:
            connections[Int(index)].isIdleQueued = false
            guard connection.wait == .request else { return }
            let isQuiet = connection.output.isEmpty && !connection.isInLine && !connection.isReadable
            if connection.deadline <= now, isQuiet { return remove(index) }
            connections[Int(index)].isIdleQueued = true
            time(index, .request, until: max(connection.deadline, now + Self.patience))
        case .rest:
            if connection.wait == .rest, connection.deadline <= now { give(index) }
        case .room:
            if let deadline = connection.takeDeadline, deadline <= now { remove(index) }
        case .pause:
            connections[Int(index)].isPaused = false
            lineUp(index)
        case .answer:
            break
        }
    }

    // MARK: Ends

    /// The client sends nothing more.
    private mutating func end(_ index: Int32) {
        guard connections[Int(index)].awaited == 0 else { return }
        if !connections[Int(index)].input.isEmpty { return give(index) }
        if connections[Int(index)].output.isEmpty { remove(index) } else { connections[Int(index)].isLeaving = true }
    }

    /// Gives a connection to the server, once its answers are sent.
    private mutating func give(_ index: Int32) {
        connections[Int(index)].isLeaving = true
        if connections[Int(index)].output.isEmpty { leave(index) }
    }

    private mutating func leave(_ index: Int32) {
        let connection = connections[Int(index)]
        // Nothing is left to answer: the client has ended, or the door is closed.
        guard !connection.input.isEmpty else { return remove(index) }
        handOver(index, connection.input)
    }

    /// The server has a connection from here on.
    private mutating func handOver(_ index: Int32, _ bytes: [UInt8]) {
        let connection = connections[Int(index)]
        guard let keeper = connection.keeper else { return remove(index) }
        if connection.isWatched { transport.unwatch(connection.socket) }
        keeper.give(connection.socket, bytes, connection.admission, connection.peer)
        forget(index)
    }

    private mutating func remove(_ index: Int32) {
        let connection = connections[Int(index)]
        guard connection.socket >= 0 else { return }
        transport.close(connection.socket)
        connection.keeper?.leave(connection.admission)
        forget(index)
    }

    /// The socket belongs to somebody else, or is closed.
    private mutating func forget(_ index: Int32) {
        // Without the highest bit: the poller has other tokens there.
        let generation = (connections[Int(index)].generation + 1) & 0x7FFF_FFFF
        connections[Int(index)] = Connection()
        connections[Int(index)].generation = generation
        free.append(index)
    }

    private mutating func lineUp(_ index: Int32) {
        guard !connections[Int(index)].isInLine else { return }
        connections[Int(index)].isInLine = true
        line.append(token(of: index))
    }

    private func token(of index: Int32) -> DoorToken {
        DoorToken(index: index, generation: connections[Int(index)].generation)
    }

    private func index(of token: DoorToken) -> Int32? {
        let index = Int(token.index)
        guard index < connections.count, connections[index].generation == token.generation,
            connections[index].socket >= 0
        else { return nil }
        return token.index
    }
}

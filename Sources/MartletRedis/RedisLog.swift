// SPDX-License-Identifier: Apache-2.0

#if Redis
public import Logging
public import Martlet
import Synchronization

/// The log in a stream of a Redis server, which any number of nodes share.
///
/// An event is accepted when the server has said so; what that survives is the server's to say (`appendfsync`, replicas).
/// What is published at the same time goes as one group, which the server adds at one go, all or none of it, and removes
/// what is too much with it. A group whose answer was lost is sent again and added once.
///
/// While the server is away, publishing throws `storageFailed` after a while, whoever follows the log waits, and both go on
/// when it is back. Where it comes back with less than this node has read or added, that is a gap; where it has nothing any
/// more, a new epoch begins and everybody is told.
///
/// Positions are an epoch and the id of an entry. `docs/redis.md` has the fields of an entry, and the keys beside the stream.
/// A log that was opened runs threads until it is closed.
public final class RedisLog: Log, SharedLog {
    enum Phase {
        case new
        case opening
        case open
        case failed(any Error)
        case closed
    }

    let configuration: RedisLogConfiguration
    let logger: Logger
    let knowledge = Mutex(Knowledge())
    /// The newest entry that the server is known to have.
    let newestOnServer = Mutex(StreamID.zero)
    let sockets = OpenSockets()
    let reachability: Reachability
    let readers: ReaderPool
    private let phase = Mutex(Phase.new)
    private let changed = Signal()
    private let publisher: GroupPublisher
    let buffer: TailBuffer
    /// Fires when the thread of the tail has ended.
    let tailEnded = Signal()
    let hasTailEnded = Atomic(false)
    /// What the thread of the tail waits at while the server is away.
    let retryBell = Bell()
    let startThread: WorkThread.Starter

    /// - Parameters:
    ///   - configuration: Where the stream is, and every bound.
    ///   - logger: Where the log says how it does with the server; never what is in events, and no credentials.
    public convenience init(_ configuration: RedisLogConfiguration, logger: Logger = Logger(label: "martlet")) {
        self.init(configuration, logger: logger) { body throws(ThreadError) in try WorkThread.start(body) }
    }

    init(_ configuration: RedisLogConfiguration, logger: Logger, startThread: @escaping WorkThread.Starter) {
        self.configuration = configuration
        self.logger = logger
        self.startThread = startThread
        reachability = Reachability(of: configuration.name, logger: logger)
        readers = ReaderPool(
            configuration, sockets: sockets, reachability: reachability, startThread: startThread)
        let writer = Writer(configuration, sockets: sockets)
        let owner = Owner()
        publisher = GroupPublisher(
            node: NodeName().text,
            limits: .init(
                publishes: configuration.queuedPublishes, bytes: configuration.queuedBytes,
                groupEvents: configuration.groupEvents, groupBytes: configuration.groupBytes),
            patience: configuration.patience, delay: configuration.retryDelay,
            idleTime: configuration.checkInterval, reachability: reachability,
            send: { group in
                guard let log = owner.log else { throw MartletError.logNotOpen }
                return try writer.send(group, for: log)
            },
            idle: { if let log = owner.log { writer.tidy(for: log) } }, startThread: startThread)
        buffer = TailBuffer(capacity: configuration.tailBytes) { owner.log?.covers($0, $1) ?? false }
        owner.set(self)
    }

    /// Returns the end once the server is there, however long that takes; may be called again.
    ///
    /// - Throws: ``RedisLogError`` where waiting is of no use; `CancellationError`.
    public func open() async throws -> Position {
        let isFirst = phase.withLock { phase in
            guard case .new = phase else { return false }
            phase = .opening
            return true
        }
        if isFirst { startTail() }
        try await changed.wait { () throws -> Void? in
            switch phase.withLock({ $0 }) {
            case .new, .opening: return nil
            case .open: return ()
            case .failed(let error): throw error
            case .closed: throw RedisLogError.closed
            }
        }
        let state = try await readers.run { try $0.read(after: nil, through: nil, count: 0).state }
        guard let epoch = state.epoch else { return knowledge.withLock { $0.newestPlace?.position ?? .earliest } }
        return StreamPlace(epoch, state.end).position
    }

    public func close() async {
        let wasOpen = phase.withLock { phase in
            defer { phase = .closed }
            if case .new = phase { return false }
            if case .closed = phase { return false }
            return true
        }
        changed.fire()
        guard wasOpen else { return }
        await publisher.stop()
        sockets.close()
        buffer.close()
        readers.stop()
        retryBell.ring()
        await Task { try? await tailEnded.wait { hasTailEnded.load(ordering: .acquiring) ? () : nil } }.value
    }

    /// The tail has found the server; again, where it has before.
    ///
    /// - Throws: ``ThreadError`` where the log cannot do its work.
    func opened() throws(ThreadError) {
        guard phase.withLock({ if case .opening = $0 { true } else { false } }) else { return }
        try publisher.start()
        try readers.start()
        phase.withLock { phase in
            if case .opening = phase { phase = .open }
        }
        changed.fire()
    }

    /// The log cannot be opened, however long one waits.
    func failed(_ error: any Error) {
        phase.withLock { phase in
            if case .opening = phase { phase = .failed(error) }
        }
        changed.fire()
    }

    var isOpen: Bool { phase.withLock { if case .open = $0 { true } else { false } } }
    var isClosed: Bool { phase.withLock { if case .closed = $0 { true } else { false } } }

    /// - Throws: ``MartletError`` where the id of an event could be taken for a position, where the key was given with
    ///   other events, where too much waits (`overloaded`), where the server has no room (`storageFull`), or does not
    ///   answer for too long (`storageFailed`).
    public func append(_ events: [Event], once key: String?) async throws -> [Position] {
        for case let id? in events.lazy.map(\.id) where StreamPlace(id) != nil { throw MartletError.reservedID }
        guard !events.isEmpty else { return [] }
        guard isOpen else { throw MartletError.logNotOpen }
        return try await publisher.publish(events, once: key)
    }

    public func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        try await buffer.tail(after: after, limit: limit) { after, through in
            try await read(nil, after: after, through: through, limit: limit)
        }
    }

    public func covers(_ a: Position, _ b: Position) -> Bool {
        guard b != .earliest else { return true }
        guard a != .earliest, let a = StreamPlace(a.text), let b = StreamPlace(b.text) else { return false }
        return a.epoch == b.epoch ? a.id >= b.id : knowledge.withLock { $0.covers(a, b) }
    }

    package var health: SharedLogHealth {
        let newest = newestOnServer.withLock { $0 }
        let (tailed, skipped) = knowledge.withLock { ($0.tailed, $0.skipped) }
        let lag = newest > tailed ? newest.milliseconds - min(tailed.milliseconds, newest.milliseconds) : 0
        return SharedLogHealth(
            isReachable: reachability.isReachable, lag: .milliseconds(lag), losses: reachability.losses,
            skipped: skipped)
    }
}

/// Finds the log for its threads without keeping it.
private final class Owner: Sendable {
    private struct Box: Sendable { weak var log: RedisLog? }
    private let box = Mutex(Box())

    var log: RedisLog? { box.withLock { $0.log } }
    func set(_ log: RedisLog) { box.withLock { $0.log = log } }
}
#endif

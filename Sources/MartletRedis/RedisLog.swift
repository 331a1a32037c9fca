// SPDX-License-Identifier: Apache-2.0

#if Redis
public import Logging
public import Martlet
import MartletSupport
import Synchronization

/// The log in a stream of a Redis server, which any number of nodes share.
///
/// An event is accepted when the server has confirmed it; what it survives then depends on the server (`appendfsync`,
/// replicas). Publishes that arrive together are sent as one group, which the server adds all or none of, and removes
/// what exceeds retention in the same step. A group whose answer was lost is sent again, and added once.
///
/// While the server is away, publishing throws `storageFailed` after a bounded time, the tail waits, and both continue
/// when it is back. If it comes back with less than this node has read or added, readers get a gap; if it comes back
/// without the stream, a new epoch begins and all readers get a gap. Not promised: a gap for events that were accepted
/// and lost if the node that accepted them ended before it could reconnect, and no other node had read them.
///
/// A position is an epoch and the id of an entry. `docs/redis.md` has the fields of an entry, and the keys next to the
/// stream. All methods may be called from anywhere, at the same time. A log that was opened runs threads until it is
/// closed, so close it.
public final class RedisLog: Log, SharedLog {
    let configuration: RedisLogConfiguration
    let logger: Logger
    /// What this node has seen of the stream.
    let node = Mutex(NodeState())
    /// The newest entry that the server is known to have.
    let newestOnServer = Mutex(StreamID.zero)
    let sockets = OpenSockets()
    let reachability: Reachability
    private let readers: ConnectionPool<StreamConnection>
    let lifecycle: LogLifecycle
    private let publisher: GroupPublisher
    let buffer: TailBuffer

    /// - Parameters:
    ///   - configuration: Where the stream is, and all bounds.
    ///   - logger: Receives what happens to the connection; never the content of events, and no credentials.
    public convenience init(_ configuration: RedisLogConfiguration, logger: Logger = Logger(label: "martlet")) {
        self.init(configuration, logger: logger, startThread: WorkThread.starter)
    }

    init(_ configuration: RedisLogConfiguration, logger: Logger, startThread: @escaping WorkThread.Starter) {
        self.configuration = configuration
        self.logger = logger
        lifecycle = LogLifecycle(startThread: startThread)
        reachability = Reachability(of: configuration.name, logger: logger)
        readers = ConnectionPool(
            .init(
                connections: configuration.readers, queuedCalls: configuration.queuedReads,
                patience: configuration.patience, retryDelay: configuration.retryDelay),
            reachability: reachability, startThread: startThread
        ) { [sockets] in try StreamConnection(configuration, sockets: sockets, scripts: []) }
        let writer = StreamWriter(configuration, sockets: sockets)
        let owner = Owner()
        publisher = GroupPublisher(
            node: NodeName().text,
            configuration: .init(
                queuedPublishes: configuration.queuedPublishes, queuedBytes: configuration.queuedBytes,
                groupEvents: configuration.groupEvents, groupBytes: configuration.groupBytes,
                patience: configuration.patience, retryDelay: configuration.retryDelay,
                idleInterval: configuration.checkInterval),
            reachability: reachability,
            send: { group in
                guard let log = owner.log else { throw MartletError.logNotOpen }
                return try writer.send(group, for: log)
            },
            idle: { if let log = owner.log { writer.tidy(for: log) } }, startThread: startThread)
        buffer = TailBuffer(capacity: configuration.tailBytes) { owner.log?.covers($0, $1) ?? false }
        owner.set(self)
    }

    /// Returns the end of the log once the server answers, however long that takes. May be called again.
    ///
    /// - Throws: ``RedisLogError`` if waiting is of no use; `CancellationError`.
    public func open() async throws -> Position {
        try await lifecycle.open(
            closed: RedisLogError.closed, noThread: { RedisLogError.noThread($0) }, follow: { [self] in runTail() })
        let state = try await reading { try $0.read(after: nil, through: nil, count: 0).state }
        guard let epoch = state.epoch else { return node.withLock { $0.newestPlace?.position ?? .earliest } }
        return StreamPlace(epoch, state.end).position
    }

    /// Returns once the threads have ended, except for calls of readers that end soon.
    public func close() async {
        guard lifecycle.close() else { return }
        await publisher.stop()
        sockets.close()
        buffer.close()
        readers.stop()
        await lifecycle.waitForThread()
    }

    /// The tail has reached the server, for the first time or again.
    ///
    /// - Throws: ``ThreadError`` if the system starts no more threads.
    func opened() throws {
        try lifecycle.opened {
            try publisher.start()
            try readers.start()
        }
    }

    /// - Throws: ``/Martlet/MartletError``: `invalidID` if the id of an event has the form of a position, `keyReused`
    ///   if the key was used with other events, `topicEnded`, `writerReplaced`, `overloaded` if too many publishes wait, `storageFull` if the server
    ///   has no room, `storageFailed` if it does not answer in time.
    public func append(_ events: [Event], once key: String?) async throws -> [Position] {
        for case let id? in events.lazy.map(\.id) where StreamPlace(id) != nil { throw MartletError.reservedID }
        guard !events.isEmpty else { return [] }
        guard lifecycle.isOpen else { throw MartletError.logNotOpen }
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
        return a.epoch == b.epoch ? a.id >= b.id : node.withLock { $0.covers(a, b) }
    }

    public var health: SharedLogHealth {
        let newest = newestOnServer.withLock { $0 }
        let (tailed, skipped) = node.withLock { ($0.tailed, $0.skipped) }
        let lag = newest > tailed ? newest.milliseconds - min(tailed.milliseconds, newest.milliseconds) : 0
        return SharedLogHealth(
            isReachable: reachability.isReachable, lag: .milliseconds(lag), losses: reachability.losses,
            skipped: skipped)
    }

    /// Runs a closure that reads, on the thread of one of the readers.
    func reading<Value: Sendable>(
        _ body: @escaping @Sendable (StreamConnection) throws -> Value
    ) async throws -> Value {
        do {
            return try await readers.run(body)
        } catch is LogUnreachable {
            throw MartletError.logUnreachable()
        } catch let error as RedisError {
            throw MartletError(.storageFailed, "The log cannot be read: \(error)")
        }
    }

    // MARK: What this node has seen

    /// The node has seen the stream in this state.
    func saw(_ state: StreamState) {
        let isNew = node.withLock { $0.saw(state) }
        newestOnServer.withLock { newest in
            newest = isNew ? state.last : max(newest, state.last)
        }
    }

    /// The node has seen this entry.
    func saw(_ id: StreamID, in epoch: Epoch) {
        node.withLock { $0.saw(id, in: epoch) }
        newestOnServer.withLock { $0 = max($0, id) }
    }
}

/// Finds the log for its threads, and does not retain it.
private final class Owner: Sendable {
    private struct Box: Sendable { weak var log: RedisLog? }
    private let box = Mutex(Box())

    var log: RedisLog? { box.withLock { $0.log } }
    func set(_ log: RedisLog) { box.withLock { $0.log = log } }
}
#endif

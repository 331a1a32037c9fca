// SPDX-License-Identifier: Apache-2.0

#if Kafka
public import Logging
public import Martlet
import MartletSupport
import Synchronization

/// The log in a topic of a Kafka cluster, which any number of nodes share.
///
/// An event is accepted when all in-sync replicas have it (`acks=all`). Every node reads every partition, outside of any
/// consumer group. What the brokers keep decides how far back a client can resume; each node holds the newest records
/// in memory, and reads older ones from the brokers.
///
/// While the brokers are away, publishing throws `storageFailed` after a bounded time, the tail waits, and both
/// continue when they are back. If they come back with less than this node has read, or if the topic was made again,
/// readers get a gap. Not promised: a gap if a topic is replaced by one that is longer already when the connection is
/// back, and then for records without a time and without a `martlet-from` header.
///
/// Nodes learn of the end of a topic, of its writer and of the newest event of a key by reading. So two nodes may accept
/// events at once of which one ends the topic, and each refuses what comes after it has read the end. What outlives
/// history, they write to a second, compacted topic (``KafkaLogConfiguration/stateTopic``), which a node that starts reads.
///
/// A position is verified with the record that it was made at. `docs/kafka.md` has the format of records. All methods
/// may be called from anywhere, at the same time. A log that was opened runs threads until it is closed, so close it.
public final class KafkaLog: NoticeLog {
    let node: KafkaNode
    let buffer: TailBuffer
    let lifecycle: LogLifecycle
    let stateWriter: StateWriter
    public let notices = Notices()
    private let publisher: GroupPublisher
    private let readers: ConnectionPool<HistoryReader>

    /// - Parameters:
    ///   - configuration: Which topic it is, and all bounds.
    ///   - logger: Receives what happens to the connections; never the content of events, and no credentials.
    public convenience init(_ configuration: KafkaLogConfiguration, logger: Logger = Logger(label: "martlet")) {
        self.init(configuration, logger: logger, startThread: WorkThread.starter)
    }

    init(_ configuration: KafkaLogConfiguration, logger: Logger, startThread: @escaping WorkThread.Starter) {
        let node = KafkaNode(configuration, logger: logger)
        let writer = KafkaWriter(node)
        self.node = node
        lifecycle = LogLifecycle(startThread: startThread)
        stateWriter = StateWriter(node, startThread: startThread)
        readers = ConnectionPool(
            .init(
                connections: configuration.readers, queuedCalls: configuration.queuedReads,
                patience: configuration.patience, retryDelay: configuration.retryDelay),
            reachability: node.reachability, startThread: startThread
        ) { HistoryReader(try node.connect().consumer, of: node) }
        publisher = GroupPublisher(
            node: node.name,
            configuration: .init(
                queuedPublishes: configuration.queuedPublishes, queuedBytes: configuration.queuedBytes,
                groupEvents: configuration.groupEvents, groupBytes: configuration.groupBytes,
                patience: configuration.patience, retryDelay: configuration.retryDelay,
                idleInterval: configuration.checkInterval),
            reachability: node.reachability, send: { try writer.send($0) }, idle: { writer.prepare() },
            startThread: startThread)
        buffer = TailBuffer(capacity: configuration.tailBytes) { node.covers($0, $1) }
    }

    /// Returns the end of the log once the node has read the window, however long that takes. May be called again.
    ///
    /// - Throws: ``KafkaLogError`` if waiting is of no use; `CancellationError`.
    public func open() async throws -> Position {
        try await lifecycle.open(
            closed: KafkaLogError.closed, noThread: { KafkaLogError.noThread($0) },
            follow: { [self] in TopicFollower(self).run() })
        return node.state.withLock { $0?.end.position ?? .earliest }
    }

    /// Returns once the threads have ended, except for calls of readers that end soon.
    public func close() async {
        guard lifecycle.close() else { return }
        // First, so that a group that gets no answer is given up.
        node.isClosed.store(true, ordering: .releasing)
        await publisher.stop()
        node.hasRead.fire()
        buffer.close()
        readers.stop()
        await lifecycle.waitForThread()
        // Last, so that it writes what the thread has read.
        await stateWriter.stop()
    }

    /// The tail has read the window.
    ///
    /// - Throws: ``ThreadError`` if the system starts no more threads.
    func opened() throws {
        try lifecycle.opened {
            try publisher.start()
            try readers.start()
        }
    }

    public var fault: MartletError? { node.fault.withLock { $0 } }

    // MARK: Publishing

    /// - Throws: ``/Martlet/MartletError``: `invalidID` if the id of an event has the form of a position, `keyReused`
    ///   if the key was used with other events, `overloaded` if too many publishes wait, `tooLarge` if the brokers do
    ///   not accept that much, `storageFailed` if they do not answer in time, or refuse.
    public func append(_ events: [Event], once key: String?) async throws -> [Position] {
        guard lifecycle.isOpen else { throw MartletError.logNotOpen }
        if let fault { throw fault }
        let partitions = node.partitions
        for case let id? in events.lazy.map(\.id) where KafkaPlace(id, partitions: partitions) != nil {
            throw MartletError.reservedID
        }
        guard !events.isEmpty else { return [] }
        guard let key else { return try await publisher.publish(events, once: nil) }
        return try await append(events, once: ExactText(key))
    }

    public func send(notice: String) async throws {
        guard lifecycle.isOpen else { throw MartletError.logNotOpen }
        if let fault { throw fault }
        _ = try await publisher.publish([Notices.event(notice)], once: nil)
    }

    /// Publishes what the log does not have with this key, and waits until the node has read it: another node may have
    /// published with the same key at the same time.
    private func append(_ events: [Event], once key: ExactText) async throws -> [Position] {
        let parts = node.parts(of: events)
        try node.checkUnused(key, outside: parts.map(\.partition))
        var places: [Int: Position] = [:]
        for (partition, numbers) in parts {
            guard let found = try node.accepted(numbers.map { events[$0] }, once: key, in: partition) else { continue }
            for (number, position) in zip(numbers, found) { places[number] = position }
        }
        let missing = events.indices.filter { places[$0] == nil }
        if !missing.isEmpty {
            // The hub leaves it to the log, which alone knows what is a repetition.
            try node.fold.withLock { try $0.check(missing.map { events[$0] }) }
            let positions = try await publisher.publish(missing.map { events[$0] }, once: key.string)
            for (number, position) in zip(missing, positions) { places[number] = position }
            try await waitUntilRead(positions)
            for (partition, numbers) in parts where numbers.contains(where: missing.contains) {
                let found = try node.accepted(numbers.map { events[$0] }, once: key, in: partition)
                guard let found else { continue }
                for (number, position) in zip(numbers, found) { places[number] = position }
            }
        }
        return events.indices.map { places[$0] ?? .earliest }
    }

    private func waitUntilRead(_ positions: [Position]) async throws {
        try await withTimeout(
            node.configuration.patience, throwing: MartletError.logUnreachable(mayHaveAccepted: true)
        ) { [node] in
            try await node.hasRead.wait { () throws -> Void? in try node.hasReadAll(positions) ? () : nil }
        }
    }

    // MARK: Following

    public func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        try await buffer.tail(after: after, limit: limit) { after, through in
            try await read(nil, after: after, through: through, limit: limit)
        }
    }

    public func covers(_ a: Position, _ b: Position) -> Bool { node.covers(a, b) }

    public var health: SharedLogHealth {
        let behindSince = node.behindSince.withLock { $0 }
        return SharedLogHealth(
            isReachable: node.reachability.isReachable, lag: behindSince.map { .now - $0 } ?? .zero,
            losses: node.reachability.losses, skipped: node.skipped.load(ordering: .relaxed))
    }

    /// Runs a closure that reads, on the thread of one of the readers.
    func reading<Value: Sendable>(
        _ body: @escaping @Sendable (HistoryReader) throws -> Value
    ) async throws -> Value {
        do {
            return try await readers.run(body)
        } catch is LogUnreachable {
            throw MartletError.logUnreachable()
        } catch let error as KafkaLogError {
            throw MartletError(.storageFailed, "The log cannot be read: \(error)")
        }
    }
}
#endif

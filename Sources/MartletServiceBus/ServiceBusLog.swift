// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
public import Logging
public import Martlet
import MartletSupport
import Synchronization

/// The log in a topic of Azure Service Bus, or of another broker that speaks AMQP 1.0, which any number of nodes share.
///
/// An event is accepted when the broker has it. Each node has its own subscription, and keeps what it receives in an
/// embedded log, because the broker forgets what a subscription has settled: clients resume from there. A message is
/// settled once it is stored.
///
/// All nodes know the id of an event, because it travels with the message. Nodes receive the messages of one publishing
/// hub in the same order; those of several hubs, or of other programs, may be interleaved differently on each node. A
/// client that moves to another node gets exactly what it lacks of the messages of hubs. Of messages of other programs
/// that were sent at the same moment as the last one it saw, it may get one again, or miss one. A node that does not
/// know an id, because it has not kept history for as long, answers with a gap.
///
/// `docs/service-bus.md` has the format of messages. All methods may be called from anywhere, at the same time. A log
/// that was opened runs threads until it is closed, so close it.
public final class ServiceBusLog: NoticeLog {
    let node: ServiceBusNode
    let lifecycle: LogLifecycle
    public let notices = Notices()
    private let publisher: GroupPublisher

    /// - Parameters:
    ///   - configuration: Which topic it is, and all bounds.
    ///   - store: Where this node keeps what it receives. Nothing else may use it. Must be durable, or a message that was
    ///     settled is lost with the process.
    ///   - logger: Receives what happens to the connections; never the content of events, and no credentials.
    public convenience init(
        _ configuration: ServiceBusLogConfiguration, store: any EmbeddedLog, logger: Logger = Logger(label: "martlet")
    ) {
        self.init(configuration, store: store, logger: logger, startThread: WorkThread.starter)
    }

    init(
        _ configuration: ServiceBusLogConfiguration, store: any EmbeddedLog, logger: Logger,
        startThread: @escaping WorkThread.Starter
    ) {
        let node = ServiceBusNode(configuration, store: store, logger: logger)
        let writer = MessageWriter(node)
        self.node = node
        lifecycle = LogLifecycle(startThread: startThread)
        publisher = GroupPublisher(
            node: node.publisher.text,
            configuration: .init(
                queuedPublishes: configuration.queuedPublishes, queuedBytes: configuration.queuedBytes,
                groupEvents: configuration.groupEvents, groupBytes: configuration.groupBytes,
                patience: configuration.patience, retryDelay: configuration.retryDelay,
                idleInterval: configuration.checkInterval),
            reachability: node.reachability, send: { try writer.send($0) }, idle: { writer.prepare() },
            startThread: startThread)
    }

    /// Returns the end of the log once the node has received what the broker has for it, however long that takes. May be
    /// called again.
    ///
    /// - Throws: ``ServiceBusLogError`` if waiting is of no use; the error of the store; `CancellationError`.
    public func open() async throws -> Position {
        try await node.loadOnce()
        try await lifecycle.open(
            closed: ServiceBusLogError.closed, noThread: { ServiceBusLogError.noThread($0) },
            follow: { [self] in SubscriptionFollower(self).run() })
        return node.position(at: node.order.withLock { $0.end } - 1)
    }

    /// Returns once the threads have ended, and closes the store.
    public func close() async {
        guard await stop() else { return }
        await node.store.close()
    }

    /// Ends the threads. Returns whether there was something to end.
    func stop() async -> Bool {
        guard lifecycle.close() else { return false }
        await publisher.stop()
        node.isClosed.store(true, ordering: .releasing)
        node.stored.fire()
        await lifecycle.waitForThread()
        return true
    }

    /// The node has everything.
    ///
    /// - Throws: ``ThreadError`` if the system starts no more threads.
    func opened() throws { try lifecycle.opened { try publisher.start() } }

    public var fault: MartletError? { node.store.fault ?? node.fault.withLock { $0 } }

    public var health: SharedLogHealth {
        let behindSince = node.behindSince.withLock { $0 }
        return SharedLogHealth(
            isReachable: node.reachability.isReachable, lag: behindSince.map { .now - $0 } ?? .zero,
            losses: node.reachability.losses, skipped: node.skipped.load(ordering: .relaxed))
    }

    // MARK: Publishing

    /// - Throws: ``/Martlet/MartletError``: `invalidID` if the id of an event has the form of a position, `keyReused`
    ///   if the key was used with other events, `overloaded` if too many publishes wait or the broker has too much to
    ///   do, `tooLarge` if the broker does not accept that much, `storageFailed` if it does not answer in time, or
    ///   refuses.
    public func append(_ events: [Event], once key: String?) async throws -> [Position] {
        guard lifecycle.isOpen else { throw MartletError.logNotOpen }
        if let fault { throw fault }
        for case let id? in events.lazy.map(\.id) where node.isPosition(id) { throw MartletError.reservedID }
        guard !events.isEmpty else { return [] }
        guard let key else { return try await publisher.publish(events, once: nil) }
        if let found = try await accepted(events, once: key) { return found }
        _ = try await publisher.publish(events, once: key)
        // Another node may have published with the same key at the same time.
        try await withTimeout(
            node.configuration.patience, throwing: MartletError.logUnreachable(mayHaveAccepted: true)
        ) { [node] in
            try await node.stored.wait { node.offsets(ofKey: key).map { _ in () } }
        }
        return try await accepted(events, once: key) ?? []
    }

    public func send(notice: String) async throws {
        guard lifecycle.isOpen else { throw MartletError.logNotOpen }
        if let fault { throw fault }
        _ = try await publisher.publish([Notices.event(notice)], once: nil)
    }

    /// The positions of events that were accepted with a key; `nil` if there are none.
    private func accepted(_ events: [Event], once key: String) async throws -> [Position]? {
        guard let offsets = node.offsets(ofKey: key) else { return nil }
        let store = node.store
        var found: [Event] = []
        var after = store.position(at: offsets.lowerBound - 1)
        let through = store.position(at: offsets.upperBound - 1)
        var isComplete = false
        while !isComplete {
            let slice = try await store.read(nil, after: after, through: through, limit: SliceLimit())
            // Retention has removed it since.
            if slice.gap != nil { return nil }
            found += slice.records.map(\.event)
            (after, isComplete) = (slice.end, slice.isComplete)
        }
        guard found.map(\.withoutExpiry) == events.map(\.withoutExpiry) else { throw MartletError.keyReused }
        return node.order.withLock { order in
            offsets.map { offset in
                var place = order.place(at: offset, local: store.position(at:))
                place.seen = []
                return place.position
            }
        }
    }
}
#endif

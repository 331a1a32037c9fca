// SPDX-License-Identifier: Apache-2.0

public import Logging
import MartletSupport
public import Metrics
public import ServiceLifecycle
import Synchronization

/// Takes events from publishers and gives them to the subscribers of their topics.
///
///     let hub = Hub()
///     async let running: Void = hub.run()
///     try await hub.publish("shipped", to: "orders/42")
///     try await hub.subscribe(to: "orders/42") { events in
///         for try await event in events { print(event.data) }
///     }
///
/// An event is published once the log has accepted it. Subscribers get the events of their topics in the order of the
/// log, each exactly once, from where they start for as long as they read; a slow subscriber delays no other. The hub delivers while ``run()`` runs.
public final class Hub: Service {
    public let log: any Log
    public let configuration: HubConfiguration
    let fanOut: FanOut
    let leases = LeaseBook()
    /// What each client has open and publishes.
    package let clients: ClientTable
    package var logger: Logger { fanOut.logger }
    private var metrics: HubMetrics { fanOut.metrics }
    /// The newest position that the log has accepted here, where the log has to be waited for.
    private let newest = Mutex<Position?>(nil)
    /// How the log did when the gauges were set last, where the log is on a server.
    private let logHealth = Mutex<SharedLogHealth?>(nil)

    /// - Parameters:
    ///   - log: Where events are kept; by default in memory.
    ///   - configuration: Bounds and times.
    ///   - logger: Where the hub says what happens to it; never what is in events.
    ///   - metrics: The metrics backend; by default the one of the process.
    ///   - onStreamEnd: Hears of each stream over a connection that has ended, for an access log. It is called on the
    ///     thread that writes to clients, so it must not wait. With it, the hub needs about 50 bytes of memory more for each
    ///     stream, and 100 for each distinct subscription.
    public convenience init(
        log: any Log = MemoryLog(),
        configuration: HubConfiguration = HubConfiguration(),
        logger: Logger = Logger(label: "martlet"),
        metrics: any MetricsFactory = MetricsSystem.factory,
        onStreamEnd: (@Sendable (EndedStream) -> Void)? = nil
    ) {
        self.init(
            log: log, configuration: configuration, logger: logger, metrics: metrics, onStreamEnd: onStreamEnd
        ) { body throws(ThreadError) in try WorkThread.start(body) }
    }

    /// - Parameter startThread: Starts the threads that write to clients.
    init(
        log: any Log, configuration: HubConfiguration, logger: Logger, metrics: any MetricsFactory,
        onStreamEnd: (@Sendable (EndedStream) -> Void)? = nil, startThread: @escaping WorkThread.Starter
    ) {
        self.log = log
        self.configuration = configuration
        clients = ClientTable(configuration.clients)
        fanOut = FanOut(
            log: log, configuration: configuration, logger: logger, metrics: metrics, onStreamEnd: onStreamEnd,
            startThread: startThread)
    }

    // MARK: Running

    /// Opens the log and delivers until the task is cancelled or the service group shuts down. Call it once.
    public func run() async throws {
        let end: Position
        do {
            // A log on a server may be away for as long as it likes.
            end = try await cancelWhenGracefulShutdown { try await self.log.open() }
            let present = try await cancelWhenGracefulShutdown { try await self.present(through: end) }
            try fanOut.start(at: end, present)
        } catch is CancellationError where !Task.isCancelled {
            return await stop()
        } catch {
            await stop()
            throw error
        }
        await withTaskGroup { group in
            group.addTask { await self.fanOut.run(after: end) }
            // Where the hub is the last to hear of a shutdown, streams that left their server are still here.
            try? await gracefulShutdown()
            if !Task.isCancelled {
                try? await drain()
                #if os(Linux)
                await fanOut.closeDoors()
                #endif
            }
            group.cancelAll()
        }
        await stop()
    }

    /// What the log knows besides its events. A log on a server may be away for as long as it likes.
    private func present(through end: Position) async throws -> Present {
        while true {
            do {
                return try await log.present(through: end)
            } catch let error as MartletError where error.code == .storageFailed && log is any SharedLog {
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func stop() async {
        await fanOut.stop()
        await log.close()
    }

    /// Whether the hub delivers and its log can accept events, so that a load balancer may send it clients.
    public var isReady: Bool { fanOut.isRunning && !isDraining && log.fault == nil }

    /// Whether new streams should go elsewhere, because this hub is about to stop.
    public var isDraining: Bool { fanOut.isDraining }

    /// Ends all streams, spread over ``HubConfiguration/grace``; publishing goes on. Returns when the last is gone.
    ///
    /// Each client receives the time to wait before it comes back, and misses nothing. Call it before the server stops.
    public func drain() async throws {
        beginDrain()
        try await fanOut.changed.wait { streamCount == 0 ? () : nil }
    }

    /// Ends all streams as ``drain()`` does, without waiting for it.
    public func beginDrain() { fanOut.beginDrain() }

    /// Returns once the hub runs. Throws `notRunning` when it has stopped, or waits too long for a log on a server.
    package func waitUntilRunning() async throws { try await fanOut.waitUntilRunning() }

    #if os(Linux)
    /// Returns once the hub runs; throws `notRunning` if it has stopped.
    package func waitForStart() async throws { try await fanOut.waitForStart() }

    /// Has the threads of the hub accept the connections of a listening socket, too. Returns whether any does.
    package func openDoor(_ listener: Int32, _ keeper: any DoorKeeper) -> Bool { fanOut.openDoor(listener, keeper) }

    /// Accepts no more connections of a keeper.
    package func closeDoor(_ keeper: any DoorKeeper) { fanOut.closeDoor(keeper) }
    #endif

    // MARK: Its streams

    /// How many streams are open.
    public var streamCount: Int { fanOut.streamCount }

    /// How many different subscriptions are open.
    public var feedCount: Int { fanOut.state.withLock { $0.feeds?.feedCount ?? 0 } }

    /// Calls a closure with the number of sockets that the hub has taken over from servers. It takes over none meanwhile.
    package func withSocketCount<Value: Sendable>(_ body: (Int) -> Value) -> Value {
        fanOut.state.withLock { body($0.sockets) }
    }

    package var socketCount: Int { withSocketCount { $0 } }

    /// A server of the hub has refused a connection because it has too many.
    package func connectionRefused() { metrics.connectionRefused() }

    /// A request to the hub was refused.
    ///
    /// - Parameter reason: A word of the program, and not of the client.
    package func refused(status: Int, reason: String) { metrics.refused(status: status, reason: reason) }

    /// Whether the ends of streams are reported, so that a subscription should say who its client is.
    package var reportsStreams: Bool { fanOut.onStreamEnd != nil }

    /// A time to wait before reconnecting, different for every client.
    package func retry() -> Duration { fanOut.retry() }

    /// Sets the gauges to what is so now. Call it before they are read; the counters are always up to date.
    public func updateGauges() {
        metrics.record(fanOut.levels, windowCapacity: configuration.windowBytes)
        if let log = log as? any MeasuredLog { metrics.record(log.size) }
        guard let health = (log as? any SharedLog)?.health else { return }
        let before = logHealth.withLock { before in
            defer { before = health }
            return before
        }
        metrics.record(health, before: before)
    }

    // MARK: Where its log stands

    /// Where a reader stands that has everything which this node has read of the log; the earliest before the hub runs.
    package var end: Position { fanOut.tail.position }

    /// The newest position that the log has accepted here; `nil` for none, and where the log never has to be waited for.
    var lastAccepted: Position? { newest.withLock { $0 } }

    /// Takes note of the position of an event that was accepted here.
    func noteAccepted(_ position: Position) {
        guard fanOut.immediateLog == nil else { return }
        newest.withLock { newest in
            if newest.map({ log.covers(position, $0) }) ?? true { newest = position }
        }
    }

    /// The end as this node knows it, once the node has read up to a position of the log.
    package func end(covering position: Position) async throws -> Position { try await fanOut.end(covering: position) }

    /// The id that resumes after everything that this node has read of the log; `earliest` if history is empty.
    package func lastEventID() async -> String { await fanOut.lastEventID() }

    // MARK: Announcements

    /// Gives events to the subscribers of this moment and to no later ones: they are not in history. A client that resumes
    /// from one of them resumes from the event before it, and may receive it once more.
    package func announce(_ events: [Event]) async { await fanOut.announce(events) }

    /// Whether any subscriber may see private events.
    package var showsPrivateEvents: Bool { fanOut.showsPrivateEvents }
}

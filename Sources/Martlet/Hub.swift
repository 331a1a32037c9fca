// SPDX-License-Identifier: Apache-2.0

public import Logging
public import Metrics
public import ServiceLifecycle
import Synchronization

/// Takes events from publishers and gives them to everybody who subscribes to their topics.
///
///     let hub = Hub()
///     async let running: Void = hub.run()
///     try await hub.publish("shipped", to: "orders/42")
///     try await hub.subscribe(to: "orders/42") { events in
///         for try await event in events { print(event.data) }
///     }
///
/// An event is published once the log has accepted it. Subscribers get the events of their topics in the order of the
/// log, each exactly once, from where they start for as long as they read; whoever is slow waits for nobody and holds
/// up nobody. The hub delivers while ``run()`` runs.
public final class Hub: Service {
    public let log: any Log
    public let configuration: HubConfiguration
    let replayer: Replayer
    let state = Mutex(State())
    let router = EventRouter()
    /// Fires when the hub starts or stops, has read of the log, or a stream has ended.
    let changed = Signal()
    let leases = LeaseBook()
    /// Fires when publishers do not need to wait for shards any more.
    let progressed = Signal()
    let metrics: HubMetrics
    let logger: Logger
    let startThread: WorkThread.Starter

    /// - Parameters:
    ///   - log: Where events are kept; by default in memory.
    ///   - configuration: Bounds and times.
    ///   - logger: Where the hub says what happens to it; never what is in events.
    ///   - metrics: What counts; by default what the process has set up.
    public convenience init(
        log: any Log = MemoryLog(clock: ContinuousClock()),
        configuration: HubConfiguration = HubConfiguration(),
        logger: Logger = Logger(label: "martlet"),
        metrics: any MetricsFactory = MetricsSystem.factory
    ) {
        self.init(log: log, configuration: configuration, logger: logger, metrics: metrics) {
            body throws(ThreadError) in try WorkThread.start(body)
        }
    }

    /// - Parameter startThread: Starts the threads that write to clients.
    init(
        log: any Log, configuration: HubConfiguration, logger: Logger, metrics: any MetricsFactory,
        startThread: @escaping WorkThread.Starter
    ) {
        self.log = log
        self.startThread = startThread
        self.configuration = configuration
        self.logger = logger
        self.metrics = HubMetrics(metrics, hasSharedLog: log is any SharedLog)
        self.replayer = Replayer(
            limit: configuration.slice, concurrency: configuration.concurrentReads, capacity: configuration.replayBytes)
    }

    /// Opens the log and delivers until the task is cancelled or the service group shuts down. Call it once.
    public func run() async throws {
        let end: Position
        do {
            // A log on a server may be away for as long as it likes.
            end = try await cancelWhenGracefulShutdown { try await self.log.open() }
            try start(at: end)
        } catch is CancellationError where !Task.isCancelled {
            return await stop()
        } catch {
            await stop()
            throw error
        }
        await withTaskGroup { group in
            group.addTask { await self.followLog(after: end) }
            group.addTask { await self.replayer.run(self.log) }
            #if os(Linux)
            group.addTask { await self.trimHeap() }
            #endif
            // Where the hub is the last to hear of a shutdown, streams that left their server are still here.
            try? await gracefulShutdown()
            if !Task.isCancelled { try? await drain() }
            group.cancelAll()
        }
        await stop()
    }

    /// Reads what is published, whoever published it, and hands it on a group at a time.
    private func followLog(after start: Position) async {
        var position = start
        while !Task.isCancelled {
            do {
                try await waitForShards()
                let slice = try await log.tail(after: position, limit: configuration.slice)
                position = slice.end
                if slice.gap != nil {
                    logger.warning(
                        "The log lost events before the hub had read them.",
                        metadata: ["reason": "\(slice.gapReason.rawValue)"])
                }
                await deliver(slice)
            } catch is CancellationError {
                return
            } catch {
                logger.error("The log cannot be read; trying again.", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}

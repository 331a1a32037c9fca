// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletSupport
import Metrics
import Synchronization

#if os(Linux)
import CLinux
#endif

/// Gives the streams of this node what was read of the log.
///
/// It owns the feeds, behind one lock, the shards that write to clients, and the replayer, which reads history for clients
/// that are behind. A stream keeps a ``Subscription``; the rest is between it and its shard.
package final class FanOut: Sendable {
    let log: any Log
    /// The log, if it never has to wait.
    let immediateLog: (any ImmediateLog)?
    let configuration: HubConfiguration
    let replayer: Replayer
    let state = Mutex(State())
    let router = EventRouter()
    /// For those who read history or values without a stream.
    let reading: ReadGate
    /// Fires when the fan-out starts or stops, has read of the log, or a stream has ended.
    let changed = Signal()
    /// Fires when publishers do not need to wait for shards any more.
    let progressed = Signal()
    let metrics: HubMetrics
    let logger: Logger
    let startThread: WorkThread.Starter
    /// Hears of each stream that has ended, on the thread that wrote to it.
    let onStreamEnd: (@Sendable (EndedStream) -> Void)?

    struct State {
        enum Phase {
            case starting
            case running
            case stopped
        }

        var phase = Phase.starting
        var isDraining = false
        /// How many streams there ever were.
        var arrivals = 0
        /// How many of them have ended.
        var departures = 0
        var streams: Int { arrivals - departures }
        /// Those of them whose sockets were handed off to a shard.
        var sockets = 0
        /// Nothing more is read from the log before a shard has come further.
        var waitsForShards = false
        /// `nil` until the log is open.
        var feeds: FeedTable?
        /// The end of the log when it was opened.
        var start: Position?
        /// The watches that follow which topics have subscribers.
        var watches: [WatchReference] = []
        /// The shards that write from event loops, by event loop.
        var channelShards: [ObjectIdentifier: ChannelShard] = [:]
        #if os(Linux)
        /// The shards that write from threads of their own.
        var socketShards: [SocketShard] = []
        /// Which of them the next stream goes to.
        var nextShard = 0
        /// The keepers of the listeners that the shards accept connections from.
        var keepers: [any DoorKeeper] = []
        #endif
    }

    /// - Parameter startThread: Starts the threads that write to clients.
    init(
        log: any Log, configuration: HubConfiguration, logger: Logger, metrics: any MetricsFactory,
        onStreamEnd: (@Sendable (EndedStream) -> Void)?, startThread: @escaping WorkThread.Starter
    ) {
        self.log = log
        immediateLog = log as? any ImmediateLog
        self.configuration = configuration
        self.logger = logger
        self.metrics = HubMetrics(metrics, eventLog: log)
        self.startThread = startThread
        self.onStreamEnd = onStreamEnd
        reading = ReadGate(capacity: configuration.concurrentReads)
        self.replayer = Replayer(
            limit: configuration.slice, concurrency: configuration.concurrentReads, capacity: configuration.replayBytes)
    }

    /// Follows the log, and reads history for streams that are behind, until the task is cancelled.
    ///
    /// - Parameter start: The end of the log when it was opened.
    func run(after start: Position) async {
        await withTaskGroup { group in
            group.addTask(executorPreference: followingExecutor) { await self.followLog(after: start) }
            group.addTask { await self.replayer.run(self.log) { self.current($0) } }
            #if os(Linux)
            group.addTask { await self.trimHeap() }
            #endif
        }
    }

    /// Where events are read from the log: on the thread that accepts most of them, if they never have to be waited for. So
    /// an event needs no second thread on its way from its publisher to its subscribers.
    private var followingExecutor: (any TaskExecutor)? {
        #if os(Linux)
        immediateLog == nil ? nil : state.withLock { $0.socketShards.first }
        #else
        nil
        #endif
    }

    /// Reads from the log what any node has published, and hands it on one group at a time.
    private func followLog(after start: Position) async {
        var position = start
        var forgetting = Forgetting()
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
                forgetting.report(of: self)
            } catch is CancellationError {
                return
            } catch {
                logger.error("The log cannot be read; trying again.", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}

/// Counts and logs what is forgotten because of a bound.
private struct Forgetting {
    private var values = 0
    private var topics = 0
    private var nextLine = ContinuousClock.now

    /// The time between two lines of the log about it.
    private static let pause = Duration.seconds(60)

    mutating func report(of fanOut: FanOut) {
        let (values, topics) = fanOut.forgotten
        guard values > self.values || topics > self.topics else { return }
        fanOut.metrics.forgotten(values: values - self.values, topics: topics - self.topics)
        (self.values, self.topics) = (values, topics)
        guard ContinuousClock.now >= nextLine else { return }
        nextLine = .now + Self.pause
        fanOut.logger.warning(
            "There are more current values, or topics that have ended, than the hub remembers. The oldest are forgotten.",
            metadata: ["values forgotten": "\(values)", "topics forgotten": "\(topics)"])
    }
}

#if os(Linux)
extension FanOut {
    /// How many streams must have come or gone before memory is given back.
    private static let herd = 1000
    /// How long no stream may have come or gone by then.
    private static let quiet = Duration.milliseconds(500)

    /// Gives memory back to the system when a herd of clients has come or gone. The allocator keeps the many small pieces
    /// that their connections needed for a moment.
    private func trimHeap() async {
        var (seen, trimmed) = (0, 0)
        while (try? await Task.sleep(for: Self.quiet)) != nil {
            let count = state.withLock { $0.arrivals + $0.departures }
            if count == seen, count - trimmed >= Self.herd {
                martlet_heap_trim()
                trimmed = count
            }
            seen = count
        }
    }
}
#endif

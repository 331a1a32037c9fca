// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

extension Hub {
    /// What the hub knows about itself, behind one lock.
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
        /// How the log did when the gauges were set last, where that is on a server.
        var logHealth: SharedLogHealth?
        /// `nil` until the log is open.
        var feeds: FeedTable?
        /// The end of the log when it was opened.
        var start: Position?
        /// Those who write from event loops, by event loop.
        var channelShards: [ObjectIdentifier: ChannelShard] = [:]
        #if os(Linux)
        /// Those who write from threads of their own.
        var socketShards: [SocketShard] = []
        /// Which of them the next stream goes to.
        var nextShard = 0
        #endif
    }

    /// Whether the hub delivers and its log can accept events, so that a load balancer may send it clients.
    public var isReady: Bool { state.withLock { $0.phase == .running && !$0.isDraining } && log.fault == nil }

    /// Whether new streams should go elsewhere, because this hub is about to stop.
    public var isDraining: Bool { state.withLock { $0.isDraining } }

    /// How many streams are open.
    public var streamCount: Int { state.withLock { $0.streams } }

    /// How many different subscriptions are open.
    public var feedCount: Int { state.withLock { $0.feeds?.feedCount ?? 0 } }

    /// Ends all streams, spread over ``HubConfiguration/grace``; publishing goes on. Returns when the last is gone.
    ///
    /// Each client is told when to come back; nothing is lost when it does. Call it before the server stops.
    public func drain() async throws {
        beginDrain()
        try await changed.wait { streamCount == 0 ? () : nil }
    }

    /// Ends all streams as ``drain()`` does, without waiting for it.
    public func beginDrain() {
        let shards = state.withLock { state -> [any Shard] in
            guard !state.isDraining else { return [] }
            state.isDraining = true
            return state.shards
        }
        for shard in shards { shard.drain() }
    }

    /// A time to wait before reconnecting, different for every client.
    package func retry() -> Duration { .random(in: configuration.retry) }

    /// How old a new connection may get, different for every one.
    func connectionAge() -> Duration { configuration.maximumConnectionAge * Double.random(in: 0.8...1) }

    var isRunning: Bool { state.withLock { $0.phase == .running } }

    /// Returns once the hub runs. Throws `notRunning` when it has stopped, or waits too long for a log on a server.
    package func waitUntilRunning() async throws {
        if isRunning { return }
        // Others open as fast as this process runs.
        guard log is any SharedLog else { return try await waitForStart() }
        try await withThrowingTaskGroup { group in
            group.addTask { try await self.waitForStart() }
            group.addTask {
                try await Task.sleep(for: self.configuration.startPatience)
                throw MartletError.notRunning
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func waitForStart() async throws {
        try await changed.wait { () throws -> Void? in
            switch state.withLock({ $0.phase }) {
            case .starting: nil
            case .running: ()
            case .stopped: throw MartletError.notRunning
            }
        }
    }

    func start(at end: Position) throws {
        #if os(Linux)
        let shards = try startShards()
        state.withLock { $0.socketShards = shards }
        #endif
        state.withLock { state in
            state.start = end
            state.feeds = FeedTable(
                tail: end, windowBytes: configuration.windowBytes,
                templatesAlike: configuration.limits.templatesAlike)
            state.phase = .running
        }
        changed.fire()
    }

    #if os(Linux)
    /// As many shards as are configured, or as there may be threads for. Without any, streams stay with the event loops of
    /// their connections.
    private func startShards() throws -> [SocketShard] {
        let shards = try (0..<configuration.shards).map { _ in try SocketShard(hub: self) }
        var started: [SocketShard] = []
        do {
            for shard in shards {
                try shard.start(startThread)
                started.append(shard)
            }
        } catch {
            logger.warning(
                "Too few threads write to clients. Without any, the event loops write to them.",
                metadata: ["error": "\(error)", "threads": "\(started.count)", "wanted": "\(shards.count)"])
        }
        return started
    }
    #endif

    /// Ends what reads events in this process, and closes what is still open.
    func stop() async {
        let listeners = state.withLock { state in
            state.phase = .stopped
            return state.feeds?.allListeners() ?? []
        }
        changed.fire()
        for (listener, feeds) in listeners { listener.feedsGrew(feeds) }
        #if os(Linux)
        for shard in state.withLock({ $0.socketShards }) { await shard.stop() }
        state.withLock { $0.socketShards = [] }
        #endif
        // Released outside the lock: what goes with a stream may announce something.
        let shards = state.withLock { state in
            defer { state.channelShards = [:] }
            return state.channelShards
        }
        withExtendedLifetime(shards) {}
        await log.close()
    }

    /// A server of the hub has refused a connection because it has too many.
    package func connectionRefused() { metrics.connectionRefused() }

    /// Calls a closure with the number of sockets that the hub has taken over from servers. It takes over none meanwhile.
    package func withSocketCount<Value: Sendable>(_ body: (Int) -> Value) -> Value {
        state.withLock { body($0.sockets) }
    }

    package var socketCount: Int { withSocketCount { $0 } }

    /// - Parameter handOff: Called when the stream counts.
    func streamOpened(onOwnSocket: Bool = false, _ handOff: () -> Void = {}) {
        metrics.streamOpened()
        state.withLock { state in
            state.arrivals += 1
            if onOwnSocket { state.sockets += 1 }
            handOff()
        }
    }

    func streamClosed(_ reason: StreamEnd, onOwnSocket: Bool = false) {
        metrics.streamClosed(reason)
        state.withLock { state in
            state.departures += 1
            if onOwnSocket { state.sockets -= 1 }
        }
        changed.fire()
    }
}

extension MartletError {
    static let notRunning = MartletError(.notRunning, "The hub is not running. Try again later.")
}

/// Writes to some of the subscribers.
protocol Shard: FeedListener {
    /// Ends all streams, each at a moment of its own within the grace period.
    func drain()
}

extension Shard {
    var holdsUpPublishers: Bool { true }
}

extension Hub.State {
    var shards: [any Shard] {
        #if os(Linux)
        Array(channelShards.values) + socketShards
        #else
        Array(channelShards.values)
        #endif
    }
}

// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletSupport
import Synchronization

/// Starting, draining and stopping.
extension FanOut {
    package var isDraining: Bool { state.withLock { $0.isDraining } }

    var isRunning: Bool { state.withLock { $0.phase == .running } }

    /// How many streams are open.
    var streamCount: Int { state.withLock { $0.streams } }

    var levels: HubMetrics.Levels {
        let reads = replayer.reads
        return state.withLock { state in
            HubMetrics.Levels(
                streams: state.streams, sockets: state.sockets, feeds: state.feeds?.feedCount ?? 0,
                windowBytes: state.feeds?.windowByteCount ?? 0, shardLag: state.feeds?.lag ?? 0,
                replayBytes: replayer.budget.byteCount, replayReads: reads.onTheirWay,
                replayReadsWaiting: reads.waiting, stateKeys: state.feeds?.values.count ?? 0,
                stateBytes: state.feeds?.values.byteCount ?? 0, rememberedTopics: state.feeds?.book.count ?? 0)
        }
    }

    /// Ends all streams, spread over ``HubConfiguration/grace``.
    func beginDrain() {
        let (shards, others) = state.withLock {
            state -> ([any Shard], [(listener: any FeedListener, feeds: [FeedID])]) in
            guard !state.isDraining else { return ([], []) }
            state.isDraining = true
            let listeners = state.feeds?.allListeners() ?? []
            return (state.shards, listeners.filter { !$0.listener.holdsUpPublishers })
        }
        for shard in shards { shard.drain() }
        // Those who wait for events in this process find out.
        for (listener, feeds) in others { listener.feedsGrew(feeds) }
    }

    /// A time to wait before reconnecting, different for every client.
    package func retry() -> Duration { .random(in: configuration.retry) }

    /// How old a new connection may get, different for every one.
    func connectionAge() -> Duration {
        let most = configuration.maximumConnectionAge
        return .random(in: most - most / 5...most)
    }

    /// Returns once the hub runs. Throws `notRunning` when it has stopped, or waits too long for a log on a server.
    func waitUntilRunning() async throws {
        if isRunning { return }
        // Others open as fast as this process runs.
        guard log is any SharedLog else { return try await waitForStart() }
        try await withTimeout(configuration.startPatience, throwing: MartletError.notRunning) {
            try await self.waitForStart()
        }
    }

    func waitForStart() async throws {
        try await changed.wait { () throws -> Void? in
            switch state.withLock({ $0.phase }) {
            case .starting: nil
            case .running: ()
            case .stopped: throw MartletError.notRunning
            }
        }
    }

    /// - Parameter present: What the log knows besides its events.
    func start(at end: Position, _ present: Present) throws {
        #if os(Linux)
        let shards = try startShards()
        state.withLock { $0.socketShards = shards }
        #endif
        state.withLock { state in
            state.start = end
            state.feeds = FeedTable(
                tail: end, windowBytes: configuration.windowBytes,
                templatesAlike: configuration.limits.templatesAlike, present: present,
                stateKeys: configuration.stateKeys, stateBytes: configuration.stateBytes,
                rememberedTopics: configuration.rememberedTopics,
                slowRules: SlowRules(latest: configuration.latestTopics, skipped: configuration.skippedTopics))
            state.phase = .running
        }
        changed.fire()
    }

    #if os(Linux)
    /// As many shards as are configured, or as there may be threads for. Without any, streams stay with the event loops of
    /// their connections.
    private func startShards() throws -> [SocketShard] {
        let shards = try (0..<configuration.shards).map { _ in try SocketShard(fanOut: self) }
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

    #if os(Linux)
    /// Has the shards accept the connections of a listening socket, too. Returns whether any does.
    func openDoor(_ listener: Int32, _ keeper: any DoorKeeper) -> Bool {
        let shards = state.withLock { state in
            guard state.phase == .running, !state.isDraining else { return [SocketShard]() }
            if !state.keepers.contains(where: { $0 === keeper }) { state.keepers.append(keeper) }
            return state.socketShards
        }
        return shards.count { $0.open(listener, keeper) } > 0
    }

    /// Accepts no more connections of a keeper.
    func closeDoor(_ keeper: any DoorKeeper) {
        for shard in state.withLock({ $0.socketShards }) { shard.close(keeper) }
    }

    /// Accepts no more connections, and returns when those that were given to servers have ended, or after a while.
    func closeDoors() async {
        let keepers = state.withLock { state in
            defer { state.keepers = [] }
            return state.keepers
        }
        for keeper in keepers { closeDoor(keeper) }
        for keeper in keepers { await keeper.close() }
    }
    #endif

    /// Ends what reads events in this process, and closes what is still open.
    func stop() async {
        let (listeners, watches) = state.withLock { state in
            state.phase = .stopped
            return (state.feeds?.allListeners() ?? [], Self.watches(in: state))
        }
        changed.fire()
        for watch in watches { watch.finish() }
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
    }

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

extension FanOut.State {
    var shards: [any Shard] {
        #if os(Linux)
        Array(channelShards.values) + socketShards
        #else
        Array(channelShards.values)
        #endif
    }
}

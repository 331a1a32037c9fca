// SPDX-License-Identifier: Apache-2.0

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
        /// The streams that are written to channels.
        var streams = 0
        /// `nil` until the log is open.
        var feeds: FeedTable?
        var shards: [ObjectIdentifier: ChannelShard] = [:]
    }

    /// Whether the hub delivers, so that a load balancer may send it clients.
    public var isReady: Bool { state.withLock { $0.phase == .running && !$0.isDraining } }

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
        while true {
            let seen = changed.version
            if streamCount == 0 { return }
            try await changed.wait(past: seen)
        }
    }

    /// Ends all streams as ``drain()`` does, without waiting for it.
    public func beginDrain() {
        let shards = state.withLock { state -> [ChannelShard] in
            guard !state.isDraining else { return [] }
            state.isDraining = true
            return Array(state.shards.values)
        }
        for shard in shards { shard.drain() }
    }

    /// A time to wait before reconnecting, different for every client.
    package func retry() -> Duration { .random(in: configuration.retry) }

    var isRunning: Bool { state.withLock { $0.phase == .running } }

    func waitUntilRunning() async throws {
        while true {
            let seen = changed.version
            switch state.withLock({ $0.phase }) {
            case .starting: try await changed.wait(past: seen)
            case .running: return
            case .stopped: throw MartletError.notRunning
            }
        }
    }

    func start(at end: Position) {
        state.withLock { state in
            state.feeds = FeedTable(tail: end, windowBytes: configuration.windowBytes)
            state.phase = .running
        }
        changed.fire()
    }

    /// Ends what reads events in this process.
    func stop() {
        let listeners = state.withLock { state in
            state.phase = .stopped
            return state.feeds?.allListeners() ?? []
        }
        changed.fire()
        for (listener, feeds) in listeners { listener.feedsGrew(feeds) }
    }

    func streamOpened() { state.withLock { $0.streams += 1 } }

    func streamClosed() {
        state.withLock { $0.streams -= 1 }
        changed.fire()
    }
}

extension MartletError {
    static let notRunning = MartletError(.notRunning, "The hub is not running. Try again later.")
}

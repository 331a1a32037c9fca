// SPDX-License-Identifier: Apache-2.0

public import Logging
public import Martlet
public import ServiceLifecycle

/// Exchanges active subscriptions with the other nodes of a hub: then every node lists and announces the subscriptions of
/// all nodes.
///
///     let exchange = SubscriptionExchange(of: hub, on: board)
///     router.addMercure(of: hub, access: access, options: options, exchange: exchange)
///
/// The others learn of a subscription that begins or ends after at most two ``ExchangeConfiguration/interval``s, or later if
/// ``ExchangeConfiguration/bytesPerSecond`` demands it. They may not learn of one that begins and ends between two postings.
/// A node that shuts down removes its subscriptions. Those of a node that dies end on the others after
/// ``ExchangeConfiguration/expiry`` and an interval.
///
/// The exchange never holds up streams. While the board is away, each node keeps what it knows of the others until that has
/// expired by its own clock.
public final class SubscriptionExchange: Service {
    let active: ActiveSubscriptions
    private let board: any NodeBoard
    private let configuration: ExchangeConfiguration
    private let clock: any Clock<Duration>
    private let logger: Logger

    /// - Parameters:
    ///   - hub: The hub of this node.
    ///   - board: The board that all nodes share.
    ///   - configuration: Bounds and times.
    ///   - clock: Measures the times.
    ///   - logger: Logs that the board is away, and that it is back.
    public init(
        of hub: Hub, on board: any NodeBoard, configuration: ExchangeConfiguration = ExchangeConfiguration(),
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "martlet")
    ) {
        self.active = ActiveSubscriptions(of: hub)
        self.board = board
        self.configuration = configuration
        self.clock = clock
        self.logger = logger
    }

    /// Posts and reads until the task is cancelled or the service group shuts down. Call it once.
    ///
    /// A graceful shutdown removes the posting of this node; after a cancellation, the posting expires. Shut the exchange
    /// down after the server, so that the other nodes learn of the streams that end meanwhile.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown { try await self.exchange(by: self.clock) }
        guard !Task.isCancelled else { return }
        do {
            try await board.remove(active.node)
        } catch {
            logger.warning(
                "The posting of this node cannot be removed. Its subscriptions expire on the other nodes.",
                metadata: ["error": "\(error)"])
        }
    }

    private func exchange<BoardClock: Clock<Duration>>(by clock: BoardClock) async throws {
        var round = Round<BoardClock.Instant>(own: active.node, configuration: configuration)
        while true {
            let wasAway = round.isAway
            round.isAway = false
            await attempt(&round, wasAway) { try await post(&$0, by: clock) }
            await attempt(&round, wasAway) { try await look(&$0, by: clock) }
            for node in round.watch.expire(at: clock.now) { await replace(node, with: []) }
            if wasAway, !round.isAway { logger.info("Active subscriptions are exchanged with the other nodes again.") }
            try await clock.sleep(for: configuration.interval)
        }
    }

    /// The state that lasts from one round to the next.
    private struct Round<Instant: InstantProtocol> where Instant.Duration == Duration {
        var plan: PostingSchedule<Instant>
        var watch: NodeTracker<Instant>
        /// Counts the postings, also failed ones that may have arrived.
        var version: UInt64 = 0
        var isAway = false
        /// Whether something is left out, so that it is logged once.
        var omitsConnections = false
        var ignoresNodes = false

        init(own: NodeName, configuration: ExchangeConfiguration) {
            plan = PostingSchedule(configuration: configuration)
            watch = NodeTracker(own: own, configuration: configuration)
        }
    }

    /// Uses the board, and logs the first failure.
    private func attempt<Instant>(
        _ round: inout Round<Instant>, _ wasAway: Bool, _ body: (inout Round<Instant>) async throws -> Void
    ) async {
        do {
            try await body(&round)
        } catch {
            if !wasAway, !round.isAway, !Task.isCancelled {
                logger.error(
                    "Active subscriptions cannot be exchanged with the other nodes. Trying again.",
                    metadata: ["error": "\(error)"])
            }
            round.isAway = true
        }
    }

    private func post<BoardClock: Clock<Duration>>(
        _ round: inout Round<BoardClock.Instant>, by clock: BoardClock
    ) async throws {
        var action = round.plan.action(revision: active.revision, at: clock.now)
        if action == .renew {
            let now = clock.now
            if try await board.renew(active.node, for: configuration.expiry) {
                round.plan.renewed(at: now)
            } else {
                round.plan.lost()
                action = .post
            }
        }
        guard action == .post else { return }
        let now = clock.now
        let (connections, revision) = active.own()
        let (list, omitted) = ConnectionList.encode(connections, atMost: board.maximumBytes)
        if omitted > 0, !round.omitsConnections {
            logger.warning(
                "There are too many subscriptions for one posting. The other nodes do not know the newest ones.",
                metadata: ["connections": "\(connections.count)", "omitted": "\(omitted)"])
        }
        round.omitsConnections = omitted > 0
        round.version += 1
        try await board.post(
            NodePosting(version: round.version, bytes: list), as: active.node, for: configuration.expiry)
        round.plan.posted(revision: revision, bytes: list.count, at: now)
    }

    private func look<BoardClock: Clock<Duration>>(
        _ round: inout Round<BoardClock.Instant>, by clock: BoardClock
    ) async throws {
        let now = clock.now
        let (changed, gone, ignored) = round.watch.see(try await board.versions(), at: now)
        if ignored > 0, !round.ignoresNodes {
            logger.warning(
                "There are too many nodes. The subscriptions of some are not known.", metadata: ["nodes": "\(ignored)"])
        }
        round.ignoresNodes = ignored > 0
        for node in gone { await replace(node, with: []) }
        for node in changed {
            guard let posting = try await board.posting(of: node) else { continue }
            round.watch.read(posting.version, of: node)
            do {
                await replace(node, with: try ConnectionList.decode(posting.bytes))
            } catch {
                logger.warning("The posting of a node cannot be read. Check that all nodes run the same version.")
                await replace(node, with: [])
            }
        }
    }

    /// Replaces the connections of another node, and announces the changes.
    private func replace(_ node: NodeName, with entries: [ActiveConnection.Entry]) async {
        let changes = active.replace(node, with: entries)
        for (entries, isActive) in [(changes.ended, false), (changes.began, true)] {
            for entry in entries {
                await active.announce(entry, isActive: isActive)
                // There may be many changes, and other tasks need the thread.
                await Task.yield()
            }
        }
    }
}

/// The times and bounds of a ``SubscriptionExchange``, besides those of the board. All nodes should have the same.
public struct ExchangeConfiguration: Hashable, Sendable {
    /// How often a node reads new postings of the others, and posts its own changes.
    public var interval = Duration.seconds(1)
    /// The time after the last sign of life of a node when its subscriptions count as ended. A node gives a sign of life
    /// three times in this time, or once in each interval.
    public var expiry = Duration.seconds(10)
    /// The most other nodes that are tracked. The subscriptions of further nodes are not known.
    public var nodes = 100
    /// The most bytes that a node posts in a second, on average. A node whose posting is larger posts its changes less often.
    public var bytesPerSecond = 4 * 1024 * 1024

    public init() {}
}

// SPDX-License-Identifier: Apache-2.0

public import Logging
public import Martlet
public import ServiceLifecycle

/// Tells the other nodes of a hub who is subscribed on this one, and learns who is on them: then every node answers for
/// all, and announces what begins and ends on any.
///
///     let exchange = SubscriptionExchange(of: hub, on: board)
///     router.addMercure(of: hub, access: access, options: options, exchange: exchange)
///
/// What begins or ends on a node is known on the others after two ``ExchangeTerms/interval``s at most, or later where
/// ``ExchangeTerms/bytesPerSecond`` says so; what does both between two postings may never be. A node that shuts down takes
/// its subscriptions away. Those of one that dies end on the others after ``ExchangeTerms/expiry`` and an interval.
///
/// Nothing here holds up streams. While the board is away, each node knows of the others what it knew, until that has
/// expired by its own clock, and then of itself only.
public final class SubscriptionExchange: Service {
    let active: ActiveSubscriptions
    private let board: any NodeBoard
    private let terms: ExchangeTerms
    private let clock: any Clock<Duration>
    private let logger: Logger

    /// - Parameters:
    ///   - hub: The hub of this node.
    ///   - board: What it has in common with the other nodes.
    ///   - terms: Bounds and times.
    ///   - logger: Where is said that the board is away, and when it is back.
    public init(
        of hub: Hub, on board: any NodeBoard, terms: ExchangeTerms = ExchangeTerms(),
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "martlet")
    ) {
        self.active = ActiveSubscriptions(of: hub)
        self.board = board
        self.terms = terms
        self.clock = clock
        self.logger = logger
    }

    /// Posts and reads until the task is cancelled or the service group shuts down. Call it once.
    ///
    /// A shutdown removes what this node has posted; for who cancels the task, it expires. Shut it down after the server,
    /// so that the streams that end meanwhile are still told of.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown { try await self.exchange(by: self.clock) }
        guard !Task.isCancelled else { return }
        do {
            try await board.remove(active.node)
        } catch {
            logger.warning(
                "The other nodes cannot be told that this one stops; its subscriptions expire there.",
                metadata: ["error": "\(error)"])
        }
    }

    private func exchange<BoardClock: Clock<Duration>>(by clock: BoardClock) async throws {
        var round = Round<BoardClock.Instant>(own: active.node, terms: terms)
        while true {
            let wasAway = round.isAway
            round.isAway = false
            await attempt(&round, wasAway) { try await post(&$0, by: clock) }
            await attempt(&round, wasAway) { try await look(&$0, by: clock) }
            for node in round.watch.expire(at: clock.now) { await replace(node, with: []) }
            if wasAway, !round.isAway { logger.info("The other nodes can be asked again who is subscribed there.") }
            try await clock.sleep(for: terms.interval)
        }
    }

    /// What is known from one time to the next.
    private struct Round<Instant: InstantProtocol> where Instant.Duration == Duration {
        var plan: PostingPlan<Instant>
        var watch: NodeWatch<Instant>
        /// Counts the postings, also those that may not have arrived.
        var version: UInt64 = 0
        var isAway = false
        /// Whether something is left out, so that it is said once.
        var omitsConnections = false
        var ignoresNodes = false

        init(own: NodeName, terms: ExchangeTerms) {
            plan = PostingPlan(terms: terms)
            watch = NodeWatch(own: own, terms: terms)
        }
    }

    /// Does something with the board. That it is away is said the first time.
    private func attempt<Instant>(
        _ round: inout Round<Instant>, _ wasAway: Bool, _ body: (inout Round<Instant>) async throws -> Void
    ) async {
        do {
            try await body(&round)
        } catch {
            if !wasAway, !round.isAway, !Task.isCancelled {
                logger.error(
                    "The other nodes cannot be asked who is subscribed there; trying again.",
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
            if try await board.renew(active.node, for: terms.expiry) {
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
                "There are too many subscriptions for the other nodes: they do not know of the newest.",
                metadata: ["connections": "\(connections.count)", "omitted": "\(omitted)"])
        }
        round.omitsConnections = omitted > 0
        round.version += 1
        try await board.post(
            NodePosting(version: round.version, bytes: list), as: active.node, for: terms.expiry)
        round.plan.posted(revision: revision, bytes: list.count, at: now)
    }

    private func look<BoardClock: Clock<Duration>>(
        _ round: inout Round<BoardClock.Instant>, by clock: BoardClock
    ) async throws {
        let now = clock.now
        let (changed, gone, ignored) = round.watch.see(try await board.versions(), at: now)
        if ignored > 0, !round.ignoresNodes {
            logger.warning(
                "There are too many nodes: who is subscribed on some is not known.", metadata: ["nodes": "\(ignored)"])
        }
        round.ignoresNodes = ignored > 0
        for node in gone { await replace(node, with: []) }
        for node in changed {
            guard let posting = try await board.posting(of: node) else { continue }
            round.watch.read(posting.version, of: node)
            do {
                await replace(node, with: try ConnectionList.decode(posting.bytes))
            } catch {
                logger.warning("What a node says of its subscriptions is not understood: is it of another version?")
                await replace(node, with: [])
            }
        }
    }

    /// Takes what another node has now, and announces what is different.
    private func replace(_ node: NodeName, with entries: [ActiveConnection.Entry]) async {
        let changes = active.replace(node, with: entries)
        for (entries, isActive) in [(changes.ended, false), (changes.began, true)] {
            for entry in entries {
                await active.announce(entry, isActive: isActive)
                // There may be very many, and this is a thread of all.
                await Task.yield()
            }
        }
    }
}

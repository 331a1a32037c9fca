// SPDX-License-Identifier: Apache-2.0

package import Logging

/// The state that a node exchanges with the others, and what it makes of theirs.
package protocol NodeExchangeState: Sendable {
    /// The name of this node for the others.
    var node: NodeName { get }

    /// Changes whenever the posting of this node would be another.
    var revision: Int { get }

    /// What this node tells the others, in at most so many bytes: with its ``revision``, how many entries there are, and how
    /// many of them are left out for lack of room.
    func posting(atMost bytes: Int) -> (bytes: [UInt8], revision: Int, entries: Int, omitted: Int)

    /// Takes what another node tells; `nil`: the node is gone.
    ///
    /// - Throws: Any error if the bytes are malformed. The node counts as gone then.
    func replace(_ node: NodeName, with bytes: [UInt8]?) async throws

    /// A round has ended. Before it, the changes of all nodes were taken.
    ///
    /// - Parameters:
    ///   - others: The other nodes that are there.
    ///   - isAway: Whether the board did not answer in this round.
    func roundEnded(with others: [NodeName], isAway: Bool)
}

extension NodeExchangeState {
    package func roundEnded(with others: [NodeName], isAway: Bool) {}
}

/// Exchanges a state with the other nodes on a board.
///
/// The others learn of a change after at most two ``ExchangeConfiguration/interval``s, or later if
/// ``ExchangeConfiguration/bytesPerSecond`` demands it. A node that leaves removes its state; that of a node that dies is
/// gone after ``ExchangeConfiguration/expiry`` and an interval.
package struct NodeExchange: Sendable {
    /// The names of the exchanged items in the log: "Active subscriptions" and "subscriptions".
    package struct Subject: Sendable {
        var title: String
        var noun: String

        package init(_ title: String, _ noun: String) {
            self.title = title
            self.noun = noun
        }
    }

    private let state: any NodeExchangeState
    private let board: any NodeBoard
    private let subject: Subject
    private let configuration: ExchangeConfiguration
    private let clock: any Clock<Duration>
    private let logger: Logger
    private let forgetsWhileAway: Bool

    /// - Parameter forgetsWhileAway: Whether nodes expire by the clock of this one while the board does not answer.
    package init(
        of state: any NodeExchangeState, on board: any NodeBoard, _ subject: Subject,
        configuration: ExchangeConfiguration, forgetsWhileAway: Bool = true, clock: any Clock<Duration>,
        logger: Logger
    ) {
        self.state = state
        self.board = board
        self.subject = subject
        self.configuration = configuration
        self.forgetsWhileAway = forgetsWhileAway
        self.clock = clock
        self.logger = logger
    }

    /// Posts and reads until the task is cancelled.
    package func run() async throws { try await run(by: clock) }

    /// Removes the posting of this node.
    package func leave() async {
        do {
            try await board.remove(state.node)
        } catch {
            logger.warning(
                "The posting of this node cannot be removed. Its \(subject.noun) expire on the other nodes.",
                metadata: ["error": "\(error)"])
        }
    }

    private func run<BoardClock: Clock<Duration>>(by clock: BoardClock) async throws {
        var round = Round<BoardClock.Instant>(own: state.node, configuration: configuration)
        while true {
            let wasAway = round.isAway
            round.isAway = false
            await attempt(&round, wasAway) { try await post(&$0, by: clock) }
            await attempt(&round, wasAway) { try await look(&$0, by: clock) }
            if forgetsWhileAway {
                for node in round.watch.expire(at: clock.now) { await replace(node, with: nil) }
            }
            if wasAway, !round.isAway { logger.info("\(subject.title) are exchanged with the other nodes again.") }
            state.roundEnded(with: round.watch.names, isAway: round.isAway)
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
        var omitsEntries = false
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
                    "\(subject.title) cannot be exchanged with the other nodes. Trying again.",
                    metadata: ["error": "\(error)"])
            }
            round.isAway = true
        }
    }

    private func post<BoardClock: Clock<Duration>>(
        _ round: inout Round<BoardClock.Instant>, by clock: BoardClock
    ) async throws {
        var action = round.plan.action(revision: state.revision, at: clock.now)
        if action == .renew {
            let now = clock.now
            if try await board.renew(state.node, for: configuration.expiry) {
                round.plan.renewed(at: now)
            } else {
                round.plan.lost()
                action = .post
            }
        }
        guard action == .post else { return }
        let now = clock.now
        let (bytes, revision, entries, omitted) = state.posting(atMost: board.maximumBytes)
        if omitted > 0, !round.omitsEntries {
            logger.warning(
                "There are too many \(subject.noun) for one posting. The other nodes do not know the newest ones.",
                metadata: ["entries": "\(entries)", "omitted": "\(omitted)"])
        }
        round.omitsEntries = omitted > 0
        round.version += 1
        try await board.post(
            NodePosting(version: round.version, bytes: bytes), as: state.node, for: configuration.expiry)
        round.plan.posted(revision: revision, bytes: bytes.count, at: now)
    }

    private func look<BoardClock: Clock<Duration>>(
        _ round: inout Round<BoardClock.Instant>, by clock: BoardClock
    ) async throws {
        let now = clock.now
        let (changed, gone, ignored) = round.watch.see(try await board.versions(), at: now)
        if ignored > 0, !round.ignoresNodes {
            logger.warning(
                "There are too many nodes. The \(subject.noun) of some are not known.",
                metadata: ["nodes": "\(ignored)"])
        }
        round.ignoresNodes = ignored > 0
        for node in gone { await replace(node, with: nil) }
        for node in changed {
            guard let posting = try await board.posting(of: node) else { continue }
            round.watch.read(posting.version, of: node)
            await replace(node, with: posting.bytes)
        }
    }

    private func replace(_ node: NodeName, with bytes: [UInt8]?) async {
        do {
            try await state.replace(node, with: bytes)
        } catch {
            logger.warning("The posting of a node cannot be read. Check that all nodes run the same version.")
            try? await state.replace(node, with: nil)
        }
    }
}

/// The times and bounds of an exchange between nodes. The board has its own. All nodes should have the same.
public struct ExchangeConfiguration: Hashable, Sendable {
    /// How often a node reads new postings of the others, and posts its own changes.
    public var interval = Duration.seconds(1)
    /// The time after the last sign of life of a node when its state counts as ended. A node gives a sign of life three
    /// times in this time, or once in each interval.
    public var expiry = Duration.seconds(10)
    /// The most other nodes that are tracked. The state of further nodes is not known.
    public var nodes = 100
    /// The most bytes that a node posts in a second, on average. A node whose posting is larger posts its changes less often.
    public var bytesPerSecond = 4 * 1024 * 1024

    public init() {}
}

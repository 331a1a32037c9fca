// SPDX-License-Identifier: Apache-2.0

import Martlet

/// Decides which hooks this node sends, and when. A state machine without I/O.
///
/// Without a board, this node sends all hooks. With one, the oldest node on it does: the others follow what is occupied and
/// are silent. A node that begins to send states everything, since it does not know what the receiver has.
struct HookPlan<Instant: InstantProtocol>: Sendable where Instant.Duration == Duration {
    private let node: NodeName
    private let limits: HookLimits
    private let hasBoard: Bool
    private var ledger: OccupancyLedger<Instant>
    private var queue: HookQueue<Instant>
    /// Whether this node sends hooks.
    private(set) var sends: Bool
    /// When everything has to be stated. Without a board, everything was, since this run began.
    private var statement: Instant?
    /// Since when this node is the first on the board; `nil`: it is not.
    private var first: Instant?
    /// When the board answered last.
    private var heard: Instant?
    private var others: [NodeName] = []
    /// Changes with the topics of this node.
    private(set) var revision = 0

    /// - Parameters:
    ///   - node: The name of this node; older nodes come first.
    ///   - hasBoard: Whether there may be other nodes.
    init(_ node: NodeName, _ limits: HookLimits, hasBoard: Bool, at now: Instant) {
        self.node = node
        self.limits = limits
        self.hasBoard = hasBoard
        ledger = OccupancyLedger(delay: limits.delay, capacity: limits.trackedTopics)
        queue = HookQueue(sender: node, capacity: limits.queue, maximumAge: limits.maximumAge)
        sends = !hasBoard
        // Clients of an earlier run need time to come back.
        statement = hasBoard ? nil : now.advanced(by: limits.delay)
    }

    struct Levels: Hashable, Sendable {
        var occupied: Int
        var waiting: Int
        var dropped: Int
        var omitted: Int
    }

    var levels: Levels {
        Levels(
            occupied: ledger.count, waiting: sends ? queue.count : 0, dropped: queue.dropped, omitted: ledger.omitted)
    }

    /// What is occupied on this node.
    var ownTopics: Set<TopicSelector> { ledger.topics(of: node) }

    /// Takes a change on this node.
    mutating func take(_ change: OccupancyChange, at now: Instant) {
        revision += 1
        if ledger.take(change, of: node, at: now) { put(.occupied, change.selector, at: now) }
    }

    /// Takes all topics of another node.
    mutating func replace(_ node: NodeName, with topics: Set<TopicSelector>, at now: Instant) {
        for selector in ledger.replace(node, with: topics, at: now) { put(.occupied, selector, at: now) }
    }

    private mutating func put(_ event: Hook.Event, _ selector: TopicSelector, at now: Instant) {
        queue.put(event, selector, isSent: sends, at: now)
    }

    /// Takes what the board has said.
    ///
    /// - Parameter isAway: Whether it did not answer.
    mutating func see(_ others: [NodeName], isAway: Bool, at now: Instant) {
        self.others = others
        if !isAway { heard = now }
        let isHeard = heard.map { $0.duration(to: now) < limits.exchange.expiry } ?? false
        if isHeard, others.allSatisfy({ node < $0 }) {
            let since = first ?? now
            first = since
            if !sends, since.duration(to: now) >= limits.settling {
                sends = true
                statement = now
            }
        } else {
            first = nil
            if sends {
                sends = false
                statement = nil
                queue.reset()
            }
        }
        if !sends { queue.forget(before: now.advanced(by: .zero - limits.memory)) }
    }

    /// When ``advance(to:isDraining:)`` has to be called; `nil` if nothing waits for a time.
    func nextTime(isDraining: Bool) -> Instant? {
        let times = [sends ? statement : nil, holds(isDraining) ? nil : ledger.nextDue].compactMap { $0 }
        return times.min()
    }

    /// Whether this is the only node, and it is about to stop. Its clients come back to the next run, which states what is
    /// occupied then.
    private func holds(_ isDraining: Bool) -> Bool { isDraining && others.isEmpty }

    mutating func advance(to now: Instant, isDraining: Bool) {
        if !holds(isDraining) {
            for selector in ledger.vacate(until: now) { put(.vacated, selector, at: now) }
        }
        if sends, let time = statement, time <= now {
            statement = nil
            if hasBoard { queue.state(ledger.occupied) } else { queue.endStatement() }
        }
    }

    /// The hooks to send now; none if none wait. Call ``delivered()`` when they were.
    mutating func next(at now: Instant) -> [Hook] { sends ? queue.next(at: now, ledger) : [] }

    /// The receiver has what ``next(at:)`` returned last.
    mutating func delivered() { queue.delivered() }
}

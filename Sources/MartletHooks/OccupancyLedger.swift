// SPDX-License-Identifier: Apache-2.0

import HeapModule
import Martlet

/// Which topics have subscribers on any node. A topic is occupied at once, and vacated when no node has had a subscriber for
/// a while. A state machine without I/O.
struct OccupancyLedger<Instant: InstantProtocol>: Sendable where Instant.Duration == Duration {
    private struct Entry {
        /// On how many nodes it has subscribers.
        var nodes = 0
        /// When the last node had no more.
        var left: Instant?
        /// Whether it is among those to look at later.
        var isDue = false
    }

    private struct Due: Comparable, Sendable {
        var time: Instant
        var selector: TopicSelector

        static func < (a: Due, b: Due) -> Bool { a.time < b.time }
        static func == (a: Due, b: Due) -> Bool { a.time == b.time }
    }

    private var entries: [TopicSelector: Entry] = [:]
    private var nodes: [NodeName: Set<TopicSelector>] = [:]
    private var due = Heap<Due>()
    private let delay: Duration
    private let capacity: Int
    /// How often a topic was left out because there were too many.
    private(set) var omitted = 0

    /// - Parameters:
    ///   - delay: How long a topic must be without subscribers.
    ///   - capacity: The most topics.
    init(delay: Duration, capacity: Int) {
        self.delay = delay
        self.capacity = capacity
    }

    /// How many topics are occupied.
    var count: Int { entries.count }

    /// The topics that are occupied, in no order.
    var occupied: [TopicSelector] { Array(entries.keys) }

    func isOccupied(_ selector: TopicSelector) -> Bool { entries[selector] != nil }

    /// The topics that have subscribers on a node.
    func topics(of node: NodeName) -> Set<TopicSelector> { nodes[node] ?? [] }

    /// Takes a change on one node.
    ///
    /// - Returns: Whether the topic has become occupied.
    mutating func take(_ change: OccupancyChange, of node: NodeName, at now: Instant) -> Bool {
        change.isOccupied ? join(change.selector, node) : leave(change.selector, node, at: now)
    }

    private mutating func join(_ selector: TopicSelector, _ node: NodeName) -> Bool {
        guard entries[selector] != nil || entries.count < capacity else {
            omitted += 1
            return false
        }
        guard nodes[node, default: []].insert(selector).inserted else { return false }
        let isNew = entries[selector] == nil
        entries[selector, default: Entry()].nodes += 1
        return isNew
    }

    private mutating func leave(_ selector: TopicSelector, _ node: NodeName, at now: Instant) -> Bool {
        guard nodes[node]?.remove(selector) != nil, var entry = entries[selector] else { return false }
        if nodes[node]?.isEmpty == true { nodes[node] = nil }
        entry.nodes -= 1
        if entry.nodes == 0 {
            entry.left = now
            if !entry.isDue { due.insert(Due(time: now.advanced(by: delay), selector: selector)) }
            entry.isDue = true
        }
        entries[selector] = entry
        return false
    }

    /// Takes all topics of a node.
    ///
    /// - Returns: Those that have become occupied.
    mutating func replace(_ node: NodeName, with topics: Set<TopicSelector>, at now: Instant) -> [TopicSelector] {
        for selector in self.topics(of: node).subtracting(topics) { _ = leave(selector, node, at: now) }
        return topics.subtracting(self.topics(of: node)).filter { join($0, node) }
    }

    /// When the next topic may have been without subscribers for long enough; `nil` if none waits for that.
    var nextDue: Instant? { due.min?.time }

    /// Removes and returns the topics that have been without subscribers for long enough.
    mutating func vacate(until now: Instant) -> [TopicSelector] {
        var vacated: [TopicSelector] = []
        while let next = due.min, next.time <= now {
            _ = due.popMin()
            guard var entry = entries[next.selector] else { continue }
            guard entry.nodes == 0, let end = entry.left?.advanced(by: delay) else {
                entry.isDue = false
                entries[next.selector] = entry
                continue
            }
            if end <= now {
                entries[next.selector] = nil
                vacated.append(next.selector)
            } else {
                due.insert(Due(time: end, selector: next.selector))
            }
        }
        return vacated
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Martlet

/// The hooks that wait for the receiver: of each topic only the last, so what is superseded is never sent. A state machine
/// without I/O.
///
/// If a hook was dropped, the receiver does not know the state any more. Then all of it is stated again, as soon as no
/// other hooks wait.
struct HookQueue<Instant: InstantProtocol>: Sendable where Instant.Duration == Duration {
    private struct Entry: Sendable {
        var hook: Hook
        /// When it began to wait.
        var time: Instant
    }

    private var entries: [TopicSelector: Entry] = [:]
    /// The topics of the entries, each once, in the order in which they began to wait.
    private var order = Deque<TopicSelector>()
    /// What is being sent, or is to be sent again.
    private var batch: [Entry] = []
    /// The topics that are still to be stated; `nil`: none, nor the end of the statement.
    private var stating: ArraySlice<TopicSelector>?
    private var isIncomplete = false
    /// How many hooks were dropped.
    private(set) var dropped = 0

    private let sender: NodeName
    /// Counts the hooks, so that each has an id.
    private var number = 0
    private let capacity: Int
    private let maximumAge: Duration
    private let batchSize: Int

    /// - Parameter sender: The beginning of all ids.
    init(sender: NodeName, capacity: Int, maximumAge: Duration, batchSize: Int = HookLimits.hooksPerRequest) {
        self.sender = sender
        self.capacity = max(capacity, 1)
        self.maximumAge = maximumAge
        self.batchSize = batchSize
    }

    /// How many hooks wait, without those of a statement that have not begun to.
    var count: Int { entries.count + batch.count }

    /// Takes a hook about a topic in the place of an earlier one.
    ///
    /// - Parameter isSent: Whether this node sends hooks, so that it counts if one has to be dropped.
    mutating func put(_ event: Hook.Event, _ selector: TopicSelector, isSent: Bool = true, at now: Instant) {
        if entries[selector] == nil {
            if entries.count >= capacity, let first = order.popFirst() {
                entries[first] = nil
                drop(isSent ? 1 : 0)
            }
            order.append(selector)
        }
        entries[selector] = entry(event, selector, at: now)
    }

    private mutating func entry(_ event: Hook.Event, _ selector: TopicSelector?, at now: Instant) -> Entry {
        number += 1
        return Entry(hook: Hook(id: "\(sender)-\(number)", event: event, selector: selector, time: .now), time: now)
    }

    /// States everything, from the beginning.
    mutating func state(_ occupied: [TopicSelector]) {
        // The statement has these topics, too.
        entries = entries.filter { $0.value.hook.event != .occupied }
        order = Deque(order.filter { entries[$0] != nil })
        stating = occupied[...]
        isIncomplete = false
    }

    /// Everything was stated with the hooks up to here.
    mutating func endStatement() { stating = [] }

    /// Forgets everything, and that something was dropped.
    mutating func reset() {
        entries = [:]
        order = []
        batch = []
        stating = nil
        isIncomplete = false
    }

    /// Forgets what has waited since before a time. For a node that does not send hooks; nothing counts as dropped.
    mutating func forget(before time: Instant) {
        while let selector = order.first, let entry = entries[selector], entry.time < time {
            order.removeFirst()
            entries[selector] = nil
        }
    }

    private mutating func drop(_ count: Int) {
        guard count > 0 else { return }
        dropped += count
        isIncomplete = true
    }

    private func isTooOld(_ entry: Entry, at now: Instant) -> Bool { entry.time.advanced(by: maximumAge) <= now }

    /// The hooks to send now, in their order; none if none wait. Call ``delivered()`` when they were.
    ///
    /// - Parameter ledger: What is occupied.
    mutating func next(at now: Instant, _ ledger: OccupancyLedger<Instant>) -> [Hook] {
        // What has changed since the last attempt is behind it in the queue.
        batch = batch.filter { $0.hook.selector.map { entries[$0] == nil } ?? true }
        let young = batch.filter { !isTooOld($0, at: now) }
        drop(batch.count - young.count)
        batch = young
        while batch.count < batchSize, let selector = order.popFirst() {
            guard let entry = entries.removeValue(forKey: selector) else { continue }
            if isTooOld(entry, at: now) { drop(1) } else { batch.append(entry) }
        }
        if order.isEmpty, isIncomplete { state(ledger.occupied) }
        while batch.count < batchSize, order.isEmpty, let next = stating?.popFirst() {
            guard ledger.isOccupied(next), !batch.contains(where: { $0.hook.selector == next }) else { continue }
            batch.append(entry(.occupied, next, at: now))
        }
        if batch.count < batchSize, order.isEmpty, stating?.isEmpty == true {
            stating = nil
            batch.append(entry(.synced, nil, at: now))
        }
        return batch.map(\.hook)
    }

    /// The receiver has what ``next(at:_:)`` returned last.
    mutating func delivered() { batch = [] }
}

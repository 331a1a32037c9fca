// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Synchronization

/// A topic, or a pattern that clients subscribe to, has its first subscriber on this node or has lost the last one.
public struct OccupancyChange: Hashable, Sendable {
    /// What the subscribers name: a topic, a template or `*`.
    public var selector: TopicSelector
    /// Whether it has subscribers.
    public var isOccupied: Bool

    public init(_ selector: TopicSelector, isOccupied: Bool) {
        self.selector = selector
        self.isOccupied = isOccupied
    }
}

/// Follows which of some topics have subscribers on this node, for one reader.
///
/// Feeds are opened and closed outside the lock of the hub. The hub reports each feed once or more as opened, and later
/// once or more as closed. A reader that is slow gets only the last state of a topic.
package final class OccupancyWatch: Sendable {
    private struct Entry {
        /// How many feeds name it.
        var feeds = 0
        /// Whether the reader knows it as occupied.
        var isKnown = false
        /// Whether it is among those that the reader has to look at.
        var isWaiting = false
    }

    private struct State {
        var entries: [TopicSelector: Entry] = [:]
        /// The entries that each open feed counts in.
        var feeds: [FeedID: [TopicSelector]] = [:]
        /// In the order of their first change that the reader has not seen.
        var waiting = Deque<TopicSelector>()
        var omitted = 0
        var isOver = false
    }

    private let selectors: Set<TopicSelector>
    private let selection: Selection
    private let capacity: Int
    private let state = Mutex(State())
    private let changed = Signal()

    /// - Parameters:
    ///   - selectors: The topics to follow. A pattern that clients subscribe to counts if `*` or the same text is here.
    ///   - capacity: The most topics that are followed at the same time.
    init(_ selectors: Set<TopicSelector>, capacity: Int) {
        self.selectors = selectors
        selection = Selection(selectors: selectors)
        self.capacity = capacity
    }

    /// How often a topic was not followed because there were too many.
    package var omitted: Int { state.withLock { $0.omitted } }

    /// What a selection names of that which is followed.
    private func followed(in selected: Selection) -> [TopicSelector] {
        let topics = selected.topics.filter(selection.selects).map { TopicSelector($0) }
        return topics + selected.patterns.filter { selectors.contains(.every) || selectors.contains($0) }
    }

    func opened(_ feed: FeedID, _ selected: Selection) {
        let followed = followed(in: selected)
        guard !followed.isEmpty else { return }
        let isNews = state.withLock { state in
            guard !state.isOver, state.feeds[feed] == nil else { return false }
            let before = state.waiting.count
            state.feeds[feed] = followed.filter { Self.count($0, by: 1, in: &state, capacity: capacity) }
            return state.waiting.count > before
        }
        if isNews { changed.fire() }
    }

    func closed(_ feed: FeedID) {
        let isNews = state.withLock { state in
            let before = state.waiting.count
            for selector in state.feeds.removeValue(forKey: feed) ?? [] {
                _ = Self.count(selector, by: -1, in: &state, capacity: capacity)
            }
            return state.waiting.count > before
        }
        if isNews { changed.fire() }
    }

    /// - Returns: Whether there was room for it.
    private static func count(
        _ selector: TopicSelector, by difference: Int, in state: inout State, capacity: Int
    ) -> Bool {
        guard state.entries[selector] != nil || state.entries.count < capacity else {
            state.omitted += 1
            return false
        }
        var entry = state.entries[selector] ?? Entry()
        entry.feeds += difference
        if entry.isKnown != (entry.feeds > 0), !entry.isWaiting {
            entry.isWaiting = true
            state.waiting.append(selector)
        }
        state.entries[selector] = entry
        return true
    }

    /// The next change that the reader does not know; `nil` if there is none.
    package func take() -> OccupancyChange? {
        state.withLock { state in
            while let selector = state.waiting.popFirst() {
                guard var entry = state.entries[selector] else { continue }
                let isOccupied = entry.feeds > 0
                let isNews = isOccupied != entry.isKnown
                entry.isWaiting = false
                entry.isKnown = isOccupied
                state.entries[selector] = isOccupied ? entry : nil
                if isNews { return OccupancyChange(selector, isOccupied: isOccupied) }
            }
            return nil
        }
    }

    /// Waits for the next change; `nil` once the hub has stopped or the task is cancelled.
    package func next() async -> OccupancyChange? {
        let change = try? await changed.wait { () -> OccupancyChange?? in
            if let change = take() { return .some(change) }
            return state.withLock { $0.isOver } ? .some(nil) : nil
        }
        return change
    }

    /// There are no more changes: the hub has stopped.
    func finish() {
        state.withLock { $0.isOver = true }
        changed.fire()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Watches that follow which topics have subscribers.
extension FanOut {
    /// Keeps no watch alive.
    struct WatchReference {
        weak var watch: OccupancyWatch?
    }

    /// How many places for feeds a new watch looks at with the lock held.
    private static let placesAtOnce = 256

    /// Follows which topics have subscribers, from those that are open now, for as long as the result is kept.
    func watch(_ selectors: Set<TopicSelector>, capacity: Int) -> OccupancyWatch {
        let watch = OccupancyWatch(selectors, capacity: capacity)
        let isOver = state.withLock { state in
            state.watches.removeAll { $0.watch == nil }
            state.watches.append(WatchReference(watch: watch))
            return state.phase == .stopped
        }
        if isOver { watch.finish() }
        var place: Int? = 0
        while let start = place {
            let (feeds, next) =
                state.withLock { $0.feeds?.openFeeds(from: start, places: Self.placesAtOnce) } ?? ([], nil)
            for (feed, selection) in feeds { watch.opened(feed, selection) }
            // One that was closed in the meantime was not known to the watch when it was.
            let closed = state.withLock { state in feeds.filter { state.feeds?.isOpen($0.feed) != true } }
            for (feed, _) in closed { watch.closed(feed) }
            place = next
        }
        return watch
    }

    /// The watches that are kept.
    static func watches(in state: borrowing State) -> [OccupancyWatch] {
        state.watches.isEmpty ? [] : state.watches.compactMap(\.watch)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Finds the feeds that events reach by patterns and by rights, and gives the events to them, a group at a time.
///
/// Looking for patterns may take long, so it happens outside the lock: the lock is taken once to see which feeds have
/// been opened and closed, and again to give the events to the feeds that were found. A feed that was opened in between
/// is looked after then (see ``FeedTable/append(_:routes:time:)``). Groups come one after the other, each as a whole.
actor EventRouter {
    private var index = PatternIndex()

    func deliver(_ slice: Slice, to fanOut: FanOut) {
        let time = ContinuousClock.now
        refresh(from: fanOut)
        let routes = slice.records.map { index.route(of: $0.event) }
        fanOut.hand(over: fanOut.state.withLock { $0.feeds?.append(slice, routes: routes, time: time) } ?? [])
    }

    func announce(_ events: [Event], to fanOut: FanOut) {
        refresh(from: fanOut)
        let routes = events.map { index.route(of: $0) }
        fanOut.hand(over: fanOut.state.withLock { $0.feeds?.inject(events, routes: routes) } ?? [])
    }

    /// Tells the index which feeds have been opened and closed.
    func refresh(from fanOut: FanOut) {
        index.apply(fanOut.state.withLock { $0.feeds?.takeChanges() } ?? IndexChanges())
    }
}

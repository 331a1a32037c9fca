// SPDX-License-Identifier: Apache-2.0

/// Which topics have subscribers on this node, as changes: see ``Hub/occupancy(of:limit:)``.
///
/// It is for one reader, and ends when the hub stops. A reader that is slow gets only the last state of each topic.
public struct Occupancy: AsyncSequence, Sendable {
    package let watch: OccupancyWatch

    /// The most topics that are followed at the same time, where nothing else is set.
    public static let defaultLimit = 100_000

    /// How often a topic was left out because too many were followed.
    public var omitted: Int { watch.omitted }

    public func makeAsyncIterator() -> Iterator { Iterator(watch: watch) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let watch: OccupancyWatch

        /// The next change; `nil` once the hub has stopped or the task is cancelled.
        public mutating func next() async -> OccupancyChange? { await watch.next() }
    }
}

extension Hub {
    /// Follows which of some topics have subscribers on this node, so that what produces their events runs only while they
    /// are read:
    ///
    ///     for await change in hub.occupancy(of: ["sensors/{id}"]) {
    ///         guard let topic = change.selector.exactTopic else { continue }
    ///         if change.isOccupied { await sensors.start(topic) } else { await sensors.stop(topic) }
    ///     }
    ///
    /// It begins with the topics that are occupied now, and reports each change at once: a client that reconnects leaves
    /// its topic and comes back. A client that subscribes to a pattern occupies the pattern, and none of the topics that
    /// the pattern matches. A pattern is reported if `selectors` has `*` or a selector of the same text.
    ///
    /// - Parameters:
    ///   - selectors: The topics to follow.
    ///   - limit: The most topics that are followed at the same time. Topics beyond it are left out
    ///     (``Occupancy/omitted``) until they lose all their subscribers and are subscribed to again.
    public func occupancy(of selectors: Set<TopicSelector>, limit: Int = Occupancy.defaultLimit) -> Occupancy {
        Occupancy(watch: fanOut.watch(selectors, capacity: limit))
    }
}

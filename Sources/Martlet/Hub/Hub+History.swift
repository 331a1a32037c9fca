// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A part of history, as a client reads it without a stream.
package struct HistoryPage: Sendable {
    package struct Item: Sendable {
        /// The first topic of the event that the reader knows.
        package let topic: Topic
        /// The id that resumes after the event.
        package let id: String
        package let event: Event
    }

    package fileprivate(set) var items: [Item] = []
    /// Where the reader stands behind the page.
    package fileprivate(set) var end: Position
    /// Not `nil`: the reader may have missed events, for this reason.
    package fileprivate(set) var gap: Gap.Reason?
    /// Whether more events follow, which the reader can have at once.
    package fileprivate(set) var hasMore = false
    /// The topics that have ended. If all have and there is no more, nothing comes any more.
    package fileprivate(set) var ended = EndedTopics()

    fileprivate var isEmpty: Bool { items.isEmpty && gap == nil }
}

extension Hub {
    /// Reads history, without a stream.
    ///
    /// - Parameters:
    ///   - id: The id of the last event that the reader has; `nil`: the page begins with the oldest event.
    ///   - limit: The most events. A page also ends before it becomes larger than ``HubConfiguration/slice``.
    ///   - patience: How long to wait for an event if there is none. The wait ends early when no event can come, or the hub
    ///     drains.
    ///   - terms: The rights of the reader, while it waits.
    /// - Throws: ``MartletError``: `topicExpired` if all topics have expired, `rightRevoked` if the rights were taken back
    ///   meanwhile, or if the selection breaks one of the ``Limits``. Else what the log throws.
    package func history(
        of selection: Selection, after id: String?, limit: Int, waiting patience: Duration = .zero,
        terms: LeaseTerms = LeaseTerms()
    ) async throws -> HistoryPage {
        try configuration.limits.check(selection)
        try await waitUntilRunning()
        await settle()
        try fanOut.checkNotExpired(selection)
        let start = try await start(of: selection, after: id)
        guard patience > .zero else { return try await page(of: selection, from: start, limit: limit) }
        let deadline = ContinuousClock.now + patience
        // From here on no event is missed.
        let subscription = try await subscribe(to: selection, after: nil, terms: terms)
        let growth = FeedGrowth(of: subscription)
        subscription.lease?.observe { growth.signal.fire() }
        defer { subscription.lease?.observe(nil) }
        var place = start
        while true {
            let seen = growth.signal.version
            if subscription.lease?.isRevoked == true { throw MartletError.rightRevoked }
            let page = try await page(of: selection, from: place, limit: limit)
            // What was passed over is not read again.
            place.position = page.end
            guard page.isEmpty, !page.ended.areAll, fanOut.isRunning, !isDraining else { return page }
            let end = min(deadline, subscription.lease?.end ?? deadline)
            guard try await growth.signal.changes(from: seen, before: end) else { return page }
        }
    }

    private func start(of selection: Selection, after id: String?) async throws -> Resolution {
        guard let id, !id.isExactly(Position.earliest.text) else { return Resolution(position: .earliest) }
        var start = try await log.resolve(id, for: selection)
        if start.gap == nil, fanOut.hasLost(selection, after: start.position) { start.gap = .expired }
        if let reason = start.gap { fanOut.metrics.gap(reason) }
        return start
    }

    private func page(of selection: Selection, from start: Resolution, limit: Int) async throws -> HistoryPage {
        try await fanOut.reading.pass {
            var page = HistoryPage(end: start.position, gap: start.gap)
            // Before the end: what a topic had before it ended is in the page, or in one of the next.
            page.ended = fanOut.ends(of: selection)
            let end = fanOut.end
            let most = SliceLimit(events: limit, bytes: configuration.slice.bytes)
            // The id may be ahead of this node.
            var (position, isComplete, bytes) = (start.position, !log.covers(end, start.position), 0)
            while !isComplete {
                // One more than fits shows that there are more.
                let some = min(configuration.slice.events, limit + 1 - page.items.count)
                let slice = try await log.read(
                    selection, after: position, through: end,
                    limit: SliceLimit(events: some, bytes: configuration.slice.bytes))
                if slice.gap != nil {
                    // The next page begins with it.
                    guard page.items.isEmpty else {
                        page.hasMore = true
                        return page
                    }
                    page.gap = page.gap ?? slice.gapReason
                }
                for record in fanOut.current(slice.records) {
                    if record.event.purgesTopic, start.position != .earliest { page.gap = page.gap ?? .purged }
                    guard !record.event.isControl else { continue }
                    let count = record.event.byteCount
                    guard most.admits(count, behind: page.items.count, of: bytes) else {
                        page.hasMore = true
                        return page
                    }
                    bytes += count
                    let topic = selection.knownTopic(of: record.event)
                    page.items.append(HistoryPage.Item(topic: topic, id: record.id, event: record.event))
                    page.end = record.position
                }
                (position, isComplete) = (slice.end, slice.isComplete)
                page.end = position
            }
            return page
        }
    }

    /// Returns once this node has read what it has accepted, so that publishers find their events; or after a while.
    func settle() async {
        guard let accepted = fanOut.immediateLog?.endNow ?? lastAccepted, !log.covers(fanOut.end, accepted) else {
            return
        }
        _ = try? await withTimeout(Self.settlingPatience, throwing: MartletError.notRunning) {
            try await self.fanOut.end(covering: accepted)
        }
    }

    private static let settlingPatience = Duration.seconds(1)
}

extension Signal {
    /// Whether the version is no longer `seen` before a time. Throws `CancellationError` when the task is cancelled.
    fileprivate func changes(from seen: UInt64, before time: ContinuousClock.Instant) async throws -> Bool {
        struct IsLate: Error {}
        do {
            try await withTimeout(time - .now, throwing: IsLate()) { try await self.wait(past: seen) }
            return true
        } catch is IsLate {
            return false
        }
    }
}

extension MartletError {
    static let topicExpired = MartletError(.topicExpired, field: "topic", "The topic has expired.")
    static let rightRevoked = MartletError(.rightRevoked, "The right to subscribe was taken back.")
}

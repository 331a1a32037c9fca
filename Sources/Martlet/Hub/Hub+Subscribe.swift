// SPDX-License-Identifier: Apache-2.0

extension Hub {
    /// Gives the events of some topics to a closure, until the closure returns.
    ///
    /// - Parameters:
    ///   - topics: The topics to subscribe to.
    ///   - id: Resume after this event; `earliest` for everything in history.
    ///   - age: Where no id is given: begin with what was published so long ago. `nil` too: only what is published from now
    ///     on.
    ///   - includesPrivate: Whether the closure may see private events.
    ///   - body: Reads the events; they end when the hub stops.
    public func subscribe<Value>(
        to topics: Topic...,
        after id: String? = nil,
        since age: Duration? = nil,
        includesPrivate: Bool = false,
        _ body: (Events) async throws -> Value
    ) async throws -> Value {
        let selection = Selection(topics: Set(topics), includesPrivate: includesPrivate)
        return try await subscribe(to: selection, after: id, since: age, body)
    }

    /// Gives the events of a selection, which may have patterns, to a closure, until the closure returns.
    ///
    /// - Parameters:
    ///   - id: Resume after this event; `earliest` for everything in history.
    ///   - age: Where no id is given: begin with what was published so long ago. `nil` too: only what is published from now
    ///     on.
    ///   - body: Reads the events; they end when the hub stops.
    public func subscribe<Value>(
        to selection: Selection,
        after id: String? = nil,
        since age: Duration? = nil,
        _ body: (Events) async throws -> Value
    ) async throws -> Value {
        try await body(Events(subscribe(to: selection, after: id, since: age)))
    }

    /// Finds where a client goes on and joins the feed that it selects. From here on nothing is missed.
    ///
    /// - Parameter terms: Whose the subscription is, and how long it lasts.
    /// - Throws: ``MartletError`` when the selection breaks one of the ``Limits``; else what the log throws.
    package func subscribe(
        to selection: Selection, after id: String?, since age: Duration? = nil, terms: LeaseTerms = LeaseTerms()
    ) async throws -> Subscription {
        try configuration.limits.check(selection)
        try await waitUntilRunning()
        let place = try join(selection, terms)
        do {
            if let id {
                return subscription(place, to: selection, from: try await log.resolve(id, for: selection))
            } else if let age {
                return subscription(place, to: selection, from: try await log.resolve(since: age, for: selection))
            }
            return subscription(place, to: selection, from: nil)
        } catch {
            fanOut.close(place.feed)
            throw error
        }
    }

    /// The same at once; `nil` if it would have to wait.
    package func subscribeNow(
        to selection: Selection, after id: String?, since age: Duration?, terms: LeaseTerms
    ) throws -> Subscription? {
        let log = fanOut.immediateLog
        guard fanOut.isRunning, log != nil || (id == nil && age == nil) else { return nil }
        try configuration.limits.check(selection)
        let place = try join(selection, terms)
        let start =
            id.map { log?.resolveNow($0, for: selection) } ?? age.map { log?.resolveNow(since: $0, for: selection) }
        return subscription(place, to: selection, from: start ?? nil)
    }

    private typealias Place = (feed: FeedID, tail: Mark, lease: Lease?)

    private func join(_ selection: Selection, _ terms: LeaseTerms) throws -> Place {
        let lease = terms.isEmpty ? nil : Lease(terms, in: leases)
        if let lease { leases.insert(lease, for: selection) }
        let (feed, tail) = try fanOut.open(selection)
        return (feed, tail, lease)
    }

    /// - Parameter start: `nil`: it starts at the live end.
    private func subscription(_ place: Place, to selection: Selection, from start: Resolution?) -> Subscription {
        guard let start else {
            return Subscription(
                fanOut: fanOut, selection: selection, feed: place.feed, start: .at(place.tail),
                position: place.tail.position, lease: place.lease)
        }
        if let reason = start.gap { fanOut.metrics.gap(reason) }
        return Subscription(
            fanOut: fanOut, selection: selection, feed: place.feed, start: .after(start.position),
            position: start.position, gap: start.gap.map { Gap(reason: $0, from: start.position) }, lease: place.lease)
    }
}

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
    ///   - body: Reads the events; they end when the hub stops, and when all topics have ended.
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
    /// - Parameters:
    ///   - withValues: Whether a client begins with the current values, unless it goes on without a gap.
    ///   - profile: What the stream has besides events.
    ///   - terms: Whose the subscription is, and how long it lasts.
    ///   - client: The client, for the report of its end; see ``reportsStreams``.
    /// - Throws: ``MartletError`` when the selection breaks one of the ``Limits``; else what the log throws.
    package func subscribe(
        to selection: Selection, after id: String?, since age: Duration? = nil, withValues: Bool = false,
        profile: StreamProfile = .standard, terms: LeaseTerms = LeaseTerms(), client: StreamClient? = nil
    ) async throws -> Subscription {
        try configuration.limits.check(selection)
        try await waitUntilRunning()
        let place = try join(selection, terms)
        do {
            var start: Resolution?
            if let id {
                start = try await log.resolve(id, for: selection)
            } else if let age {
                start = try await log.resolve(since: age, for: selection)
            }
            var isOver: Bool?
            if profile == .plain, fanOut.ends(of: selection).areAll {
                isOver =
                    if id != nil, let start {
                        try await isRead(selection, after: start.position, through: place.tail.position)
                    } else { true }
            }
            return subscription(
                place, to: selection, from: start, withValues, profile, isOver: isOver, client: client)
        } catch {
            fanOut.close(place.feed)
            throw error
        }
    }

    /// The same at once; `nil` if it would have to wait.
    package func subscribeNow(
        to selection: Selection, after id: String?, since age: Duration?, withValues: Bool,
        profile: StreamProfile = .standard, terms: LeaseTerms, client: StreamClient? = nil
    ) throws -> Subscription? {
        let log = fanOut.immediateLog
        guard fanOut.isRunning, log != nil || (id == nil && age == nil) else { return nil }
        try configuration.limits.check(selection)
        // Whether anything is left is to be read.
        guard profile != .plain || !fanOut.ends(of: selection).areAll else { return nil }
        let place = try join(selection, terms)
        let start =
            id.map { log?.resolveNow($0, for: selection) } ?? age.map { log?.resolveNow(since: $0, for: selection) }
        return subscription(place, to: selection, from: start ?? nil, withValues, profile, client: client)
    }

    /// Whether no event of the application is left for a client. Of a plain stream, it cannot know the ids of what ended
    /// the topics.
    private func isRead(_ selection: Selection, after position: Position, through end: Position) async throws -> Bool {
        guard log.covers(end, position) else { return false }
        var (position, isComplete) = (position, false)
        while !isComplete {
            let slice = try await log.read(selection, after: position, through: end, limit: configuration.slice)
            guard fanOut.current(slice.records).allSatisfy(\.event.isControl) else { return false }
            (position, isComplete) = (slice.end, slice.isComplete)
        }
        return true
    }

    private typealias Place = (feed: FeedID, tail: Mark, lease: Lease?)

    private func join(_ selection: Selection, _ terms: LeaseTerms) throws -> Place {
        let lease = terms.isEmpty ? nil : Lease(terms, for: selection, in: leases)
        if let lease { leases.insert(lease) }
        let (feed, tail) = try fanOut.open(selection)
        return (feed, tail, lease)
    }

    /// - Parameter start: `nil`: it starts at the live end.
    private func subscription(
        _ place: Place, to selection: Selection, from start: Resolution?, _ withValues: Bool,
        _ profile: StreamProfile, isOver: Bool? = nil, client: StreamClient?
    ) -> Subscription {
        let ends = fanOut.ends(of: selection)
        guard var start else {
            let opening: Cursor.Opening? = withValues ? .values : ends.positions.isEmpty ? nil : .ends
            return Subscription(
                fanOut: fanOut, selection: selection, feed: place.feed,
                start: opening.map { .values(after: .zero, through: place.tail, $0) } ?? .at(place.tail),
                position: place.tail.position, isOver: isOver ?? ends.areAll,
                hasValues: withValues, ended: ends, profile: profile,
                lease: place.lease, client: client)
        }
        if start.gap == nil, start.position != .earliest, fanOut.hasLost(selection, after: start.position) {
            start.gap = .expired
        }
        if let reason = start.gap { fanOut.metrics.gap(reason) }
        let beginsWithValues = withValues && start.gap != nil
        return Subscription(
            fanOut: fanOut, selection: selection, feed: place.feed,
            start: beginsWithValues
                ? .values(after: .zero, through: place.tail, .values) : .after(start.position),
            position: beginsWithValues ? place.tail.position : start.position,
            gap: start.gap.map { Gap(reason: $0, from: start.position) },
            isOver: isOver
                ?? (ends.areAll && start.gap == nil
                    && ends.positions.allSatisfy { log.covers(start.position, $0) }),
            hasValues: withValues, ended: ends, profile: profile, lease: place.lease, client: client)
    }
}

// SPDX-License-Identifier: Apache-2.0

extension Hub {
    /// Publishes an event.
    ///
    /// - Returns: an id that resuming after the event takes: the publisher's own, else the log's.
    /// - Throws: ``MartletError`` when the event breaks one of the ``Limits``; else what the log throws.
    @discardableResult
    public func publish(_ event: Event) async throws -> String {
        try await publish(contentsOf: [event])[0]
    }

    /// Publishes data to a topic, as it is.
    ///
    /// - Parameter type: The name under which `EventSource` dispatches the event. `nil`: `message`.
    /// - Returns: an id that resuming after the event takes.
    @discardableResult
    public func publish(_ data: String, to topic: Topic, type: String? = nil) async throws -> String {
        try await publish(Event(topic: topic, data: data, type: type))
    }

    /// Publishes events in this order, all or none of them.
    ///
    /// - Parameter key: Names this publish, so that it can be repeated when its answer was lost: as long as the events are
    ///   in history, publishing the same again with the same key publishes nothing and is answered as the first time.
    /// - Returns: for each event an id that resuming after it takes.
    @discardableResult
    public func publish(contentsOf events: [Event], once key: String? = nil) async throws -> [String] {
        try await publish(contentsOf: events, once: key, in: nil)
    }

    /// Publishes events like ``publish(contentsOf:once:)``, for a principal.
    ///
    /// - Parameter scope: Whose key it is: in another scope the same key is another. `nil`: the program's own.
    package func publish(contentsOf events: [Event], once key: String?, in scope: String?) async throws -> [String] {
        try check(events, key)
        try await waitUntilRunning()
        // A repeated publish is answered by the log, which knows its key.
        do { if key == nil { try fanOut.check(events) } } catch {
            guard fanOut.repeatedEnd(events) != nil else { throw error }
        }
        // Behind the check: the hub may read the end of the topic at any moment.
        if let end = fanOut.repeatedEnd(events) { return [end.text] }
        let positions: [Position]
        let start = ContinuousClock.now
        defer { fanOut.metrics.published(since: start) }
        do {
            positions = try await log.append(events, once: Self.scoped(key, in: scope))
        } catch let error as MartletError where error.code == .overloaded {
            fanOut.metrics.overloaded(events.count)
            throw error
        }
        return accepted(events, at: positions)
    }

    /// The same at once; `nil` if it would have to wait. Announce it with ``ImmediateLog/announceAppended()``.
    package func publishNow(_ events: [Event], once key: String?, in scope: String?) throws -> [String]? {
        guard let log = fanOut.immediateLog, fanOut.isRunning else { return nil }
        try check(events, key)
        let start = ContinuousClock.now
        guard let positions = try log.appendNow(events, once: Self.scoped(key, in: scope)) else { return nil }
        fanOut.metrics.published(since: start)
        return accepted(events, at: positions)
    }

    // MARK: The life of a topic

    /// Ends a topic for good: its subscribers receive what is left and an event of the type ``TopicEnd/eventType``, and
    /// later publishes to it are refused. A topic that has ended stays as it is.
    ///
    /// - Parameter writer: Who ends it; refused if another writer has taken over.
    /// - Returns: the id that resumes behind the end.
    @discardableResult
    public func close(_ topic: Topic, writer: TopicWriter? = nil) async throws -> String {
        var event = Event.end(of: topic)
        event.writer = writer
        return try await publish(contentsOf: [event], once: nil, in: nil)[0]
    }

    /// Removes all events of a topic from what clients can read, and all of its values. Subscribers receive a gap.
    ///
    /// - Returns: the id that resumes behind them.
    @discardableResult
    public func purge(_ topic: Topic) async throws -> String {
        try await publish(contentsOf: [.purge(of: topic)], once: nil, in: nil)[0]
    }

    private func check(_ events: [Event], _ key: String?) throws {
        for event in events { try configuration.limits.check(event) }
        try configuration.limits.check(idempotencyKey: key)
    }

    /// A key has no line feed, so the last one is where a scope ends.
    private static func scoped(_ key: String?, in scope: String?) -> String? {
        key.map { key in scope.map { "\($0)\n\(key)" } ?? key }
    }

    private func accepted(_ events: [Event], at positions: [Position]) -> [String] {
        fanOut.metrics.published(events.count)
        if let last = positions.last { noteAccepted(last) }
        return zip(events, positions).map { Record(position: $1, event: $0).id }
    }
}

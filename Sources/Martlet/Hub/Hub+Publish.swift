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
        for event in events { try configuration.limits.check(event) }
        try configuration.limits.check(idempotencyKey: key)
        try await waitUntilRunning()
        let positions: [Position]
        do {
            // A key has no line feed, so the last one is where a scope ends.
            let scopedKey = key.map { key in scope.map { "\($0)\n\(key)" } ?? key }
            positions = try await log.append(events, once: scopedKey)
        } catch let error as MartletError where error.code == .overloaded {
            fanOut.metrics.overloaded(events.count)
            throw error
        }
        fanOut.metrics.published(events.count)
        return zip(events, positions).map { Record(position: $1, event: $0).id }
    }
}

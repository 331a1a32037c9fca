// SPDX-License-Identifier: Apache-2.0

public import EventStream
import MartletSupport

extension EventSource {
    /// The events of one type, `message` being that of events without one. Those of other types are dropped, so this is
    /// for a stream of which nothing else is wanted; ``listen(isolation:to:)`` is for more types over one connection.
    ///
    ///     for try await event in source.events(ofType: "price") { … }
    public func events(ofType type: String) -> AsyncFilterSequence<EventSource> { filter { $0.type.isExactly(type) } }

    /// Hands each event to the listener of its type, one after the other, until the server ends the stream with a 204.
    ///
    ///     try await source.listen(to: [
    ///         "price": { prices.append($0.data ?? "") },
    ///         "message": { print($0.data ?? "") },
    ///     ])
    ///
    /// Events that nobody listens to are dropped. The next event is not read before the listener is done. What a
    /// listener throws ends it all, as does leaving a loop.
    ///
    /// - Parameters:
    ///   - isolation: Where the listeners run; there is no need to set it.
    ///   - listeners: By the type of their events, `message` being that of events without one.
    /// - Throws: what a listener threw, or what the loop over the events throws.
    public func listen(
        isolation: isolated (any Actor)? = #isolation,
        to listeners: [String: (ServerSentEvent) async throws -> Void]
    ) async throws {
        let listeners = Dictionary(listeners.map { (ExactText($0), $1) }, uniquingKeysWith: { first, _ in first })
        for try await event in self { try await listeners[ExactText(event.type)]?(event) }
    }
}

// SPDX-License-Identifier: Apache-2.0

public import EventStream
public import Logging
import MartletSupport
import Synchronization

/// The events of a server, over as many connections as needed: the `EventSource` of WHATWG HTML, section 9.2.
///
///     for try await event in EventSource("https://example.com/events/orders") {
///         print(event.data ?? "")
///     }
///
/// **Reconnecting.** If a connection ends, fails or falls silent, or the server answers with 408, 425, 429 or 5xx, the
/// source connects again and sends ``lastEventID`` as `Last-Event-ID`. The status 204 ends the sequence. Any other answer
/// than a 200 with `text/event-stream` throws an ``EventSourceError``.
///
/// A source also reconnects if the host is not known or a certificate is not trusted: names and certificates are repaired
/// while programs run. The ``state`` has the ``DisconnectReason``, and the logger reports it.
///
/// After a stream, the next connect goes to where redirects have led, as the standard says. If that connect fails, the
/// one after it starts at the URL of the source again.
///
/// **Isolation.** The task that waits for the next event does all the work. Nothing is read ahead, and the connection is
/// closed when the task is cancelled or leaves the loop. Iterate in one loop at a time; a later loop continues after
/// ``lastEventID``. Properties and ``reconnect()`` can be used from anywhere.
///
/// A connection serves one source only. A compressed body is refused.
public final class EventSource: AsyncSequence, Sendable {
    /// The events of the stream.
    public typealias Element = ServerSentEvent

    /// What a source is doing.
    public enum State: Hashable, Sendable {
        /// There is no connection, and the source does not connect.
        case closed
        /// The source sends a request, or waits for its answer.
        case connecting
        /// The server sends events.
        case open
        /// There is no connection, for this reason. The source connects after this time.
        case waiting(Duration, DisconnectReason)
    }

    let url: String
    let configuration: Configuration
    let logger: Logger
    let clock: any Clock<Duration>
    let reconnectRequests = ReconnectRequests()
    private let shared: Mutex<(lastEventID: String, state: State)>

    /// Makes a source that is closed until a loop asks for its first event.
    ///
    /// - Parameters:
    ///   - url: An `http` or `https` URL. If it is invalid, the first event throws.
    ///   - lastEventID: The id to resume from, such as that of an earlier source.
    ///   - logger: Reports failed connects at the level `warning`, and the end of a stream at `debug`.
    ///   - clock: Measures waits and timeouts.
    public init(
        _ url: String, lastEventID: String = "", configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "martlet.client"), clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.url = url
        self.configuration = configuration
        self.logger = logger
        self.clock = clock
        shared = Mutex((lastEventID, .closed))
    }

    /// The id to resume from after the events that the loop has received; `""` for none. An id that HTTP does not allow in
    /// a header leaves the one before it.
    public var lastEventID: String { shared.withLock { $0.lastEventID } }

    /// What the source is doing now; see also ``Configuration/onStateChange``.
    public var state: State { shared.withLock { $0.state } }

    /// Drops the connection, or the wait for the next one, and connects at once. A closed source connects when its next
    /// event is asked for, with or without this call.
    public func reconnect() { reconnectRequests.add() }

    /// A loop over the events, which connects when its first event is asked for.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(driver: Driver(self)) }

    /// The loop over the events of a source. It owns the connection.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let driver: Driver

        /// The next event, or `nil` after a 204.
        ///
        /// - Throws: ``EventSourceError``, `CancellationError`, or the error of the token provider. After an error there
        ///   are no more events.
        public func next() async throws -> ServerSentEvent? { try await driver.next() }
    }

    func setLastEventID(_ id: String) { shared.withLock { $0.lastEventID = id } }

    func setState(_ state: State) {
        let isNew = shared.withLock { shared in
            defer { shared.state = state }
            return shared.state != state
        }
        if isNew { configuration.onStateChange?(state) }
    }
}

extension EventSource {
    /// The events of one type, where `message` is the type of events without one. Other events are dropped; to receive
    /// several types over one connection, use ``listen(isolation:to:)``.
    ///
    ///     for try await event in source.events(ofType: "price") { … }
    public func events(ofType type: String) -> AsyncFilterSequence<EventSource> { filter { $0.type.isExactly(type) } }

    /// Calls the listener of each event's type, one event after the other, until the server ends the stream with a 204.
    ///
    ///     try await source.listen(to: [
    ///         "price": { prices.append($0.data ?? "") },
    ///         "message": { print($0.data ?? "") },
    ///     ])
    ///
    /// Events without a listener are dropped. The next event is not read before the listener returns. An error of a
    /// listener closes the source, as leaving a loop does.
    ///
    /// - Parameters:
    ///   - isolation: The isolation of the listeners. The default is that of the caller.
    ///   - listeners: One for each type, where `message` is the type of events without one.
    /// - Throws: the error of a listener, or what ``AsyncIterator/next()`` throws.
    public func listen(
        isolation: isolated (any Actor)? = #isolation,
        to listeners: [String: (ServerSentEvent) async throws -> Void]
    ) async throws {
        let listeners = Dictionary(listeners.map { (ExactText($0), $1) }, uniquingKeysWith: { first, _ in first })
        for try await event in self { try await listeners[ExactText(event.type)]?(event) }
    }
}

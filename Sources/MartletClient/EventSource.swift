// SPDX-License-Identifier: Apache-2.0

public import EventStream
public import Logging
import Synchronization

/// The events of a server, over as many connections as it takes: the `EventSource` of WHATWG HTML, section 9.2.
///
///     for try await event in EventSource("https://example.com/events/orders") {
///         print(event.data ?? "")
///     }
///
/// A connection that ends, fails or falls silent is made again, with what was seen last as `Last-Event-ID`. So is one
/// that was answered with 408, 425, 429 or 5xx. The status 204 ends the sequence; any other answer than a 200 with
/// `text/event-stream` throws an ``EventSourceError``.
///
/// A connection that cannot be made is tried again as well, also where that may never help: a host that is not known, a
/// certificate that is not trusted. Names and certificates are mended while programs run, and a source cannot tell. Who
/// wants to know looks at ``state``, which has the ``Cause``; the logger is told too.
///
/// After a stream, the next connect goes where redirects have led, as in the standard; a connect that fails there begins
/// at the URL of the source again.
///
/// All work is done by who waits for the next event, on that task: nothing is read ahead of it, and there is no
/// connection once the task is cancelled or the loop is left. Iterate one loop at a time. A later loop goes on from
/// ``lastEventID``.
///
/// Connections are not shared with other requests. Bodies are not decompressed: a compressed one is refused.
public final class EventSource: AsyncSequence, Sendable {
    public typealias Element = ServerSentEvent

    /// What a source is doing.
    public enum State: Hashable, Sendable {
        /// There is no connection, and none is being made.
        case closed
        /// A request was sent, or is about to be.
        case connecting
        /// The server sends events.
        case open
        /// There is no connection, for this cause; there will be another after this time.
        case waiting(Duration, Cause)
    }

    let url: String
    let configuration: Configuration
    let logger: Logger
    let clock: any Clock<Duration>
    let restarts = Restarts()
    private let shared: Mutex<(lastEventID: String, state: State)>

    /// - Parameters:
    ///   - url: Where the events are, an `http` or `https` URL.
    ///   - lastEventID: What was seen last, by an earlier source for example.
    ///   - configuration: What to ask for, and what to bear.
    ///   - logger: Told why a connect came to nothing, at the level `warning`, and that a stream has ended, at `debug`.
    ///   - clock: What waits and timeouts are measured with.
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

    /// The id to resume from after what was handed out so far; `""` for none. An id that a header cannot carry leaves the
    /// one before it.
    public var lastEventID: String { shared.withLock { $0.lastEventID } }

    public var state: State { shared.withLock { $0.state } }

    /// Drops the connection, or the wait for the next, and connects at once. A source that is closed does so when its
    /// events are next waited for, where it would have done so anyway.
    public func reconnect() { restarts.request() }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(driver: Driver(self)) }

    /// The loop over the events of a source. It owns the connection.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let driver: Driver

        /// The next event, or `nil` after a 204.
        ///
        /// - Throws: ``EventSourceError``, `CancellationError`, or what the token provider threw. After that there are
        ///   no more events.
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

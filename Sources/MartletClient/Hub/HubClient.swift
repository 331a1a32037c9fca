// SPDX-License-Identifier: Apache-2.0

public import Logging
package import MartletOutgoing
import MartletSupport

/// A client of a hub: it publishes events and subscribes to topics.
///
///     let hub = HubClient("http://localhost:8080") { try await tokens.current() }
///     let id = try await hub.publish("shipped", to: "orders/42")
///     for try await event in hub.subscribe(to: "orders/42", lastEventID: id) {
///         print(event.data ?? "")
///     }
///
/// The hub is `martlet serve`, or an application with the routes of `addHub`. ``init(mercure:logger:clock:token:)`` is for
/// every hub that speaks the [Mercure](https://mercure.rocks) protocol, version 0 (draft-dunglas-mercure-07).
///
/// **Exactly once.** Each request to publish has an `Idempotency-Key`. If the connection fails or the hub answers 408, 425,
/// 429 or 5xx, the client sends the request again with the same key, after a wait that grows and is at least as long as
/// `Retry-After` says, until ``retryFor`` is over. A Martlet hub publishes it once. Other Mercure hubs ignore the key, so
/// their requests are sent only once by default.
///
/// **Isolation.** A client is a value and holds no connection: all clients of a process share a pool. Its methods can be
/// called from anywhere, also at the same time; events are in order within one call, and from one call to the next.
public struct HubClient: Sendable {
    enum Interface: Sendable { case martlet, mercure }

    /// Where the hub is: an `http` or `https` URL, such as `http://localhost:8080`.
    public let url: String

    /// Additional headers of all requests, those of subscriptions included.
    public var headers: [String: String] = [:]

    /// How long to wait for the answer to one request. The default is 10 seconds, and 30 for a Mercure hub, whose
    /// requests are not sent again.
    public var timeout: Duration

    /// How long to send the same request again. The default is 30 seconds, and zero for a Mercure hub. If your Mercure hub
    /// is Martlet, or publishing twice does no harm, you can set it for such a hub, too.
    public var retryFor: Duration

    /// Called before each wait for another attempt, with the error of the last one and the time since the first.
    public var onRetry: (@Sendable (HubError, Duration) -> Void)?

    let interface: Interface
    let token: (@Sendable () async throws -> String?)?
    let clock: any Clock<Duration>
    private let logger: Logger

    /// A client of a Martlet hub.
    ///
    /// - Parameters:
    ///   - url: The URL of the hub, without `/events`. If it is invalid, the first use throws.
    ///   - logger: The logger of subscriptions, see ``EventSource``.
    ///   - clock: Measures waits and timeouts.
    ///   - token: Returns the bearer token to send. It is called before each attempt to publish and each connect of a
    ///     subscription. What it throws, the caller receives.
    public init(
        _ url: String, logger: Logger = Logger(label: "martlet.client"), clock: any Clock<Duration> = ContinuousClock(),
        token: (@Sendable () async throws -> String?)? = nil
    ) {
        self.init(
            url, .martlet, timeout: .seconds(10), retryFor: .seconds(30), logger: logger, clock: clock, token: token)
    }

    /// A client of a Mercure hub. ``discover(from:headers:timeout:clock:)`` finds the hub of a resource.
    ///
    /// - Parameters:
    ///   - url: The URL of the hub, such as `https://example.com/.well-known/mercure`. If it is invalid, the first use
    ///     throws.
    ///   - logger: The logger of subscriptions, see ``EventSource``.
    ///   - clock: Measures waits and timeouts.
    ///   - token: Returns the bearer token to send. It is called before each attempt to publish and each connect of a
    ///     subscription. What it throws, the caller receives.
    public init(
        mercure url: String, logger: Logger = Logger(label: "martlet.client"),
        clock: any Clock<Duration> = ContinuousClock(), token: (@Sendable () async throws -> String?)? = nil
    ) {
        self.init(url, .mercure, timeout: .seconds(30), retryFor: .zero, logger: logger, clock: clock, token: token)
    }

    private init(
        _ url: String, _ interface: Interface, timeout: Duration, retryFor: Duration, logger: Logger,
        clock: any Clock<Duration>, token: (@Sendable () async throws -> String?)?
    ) {
        self.url = url
        self.interface = interface
        self.timeout = timeout
        self.retryFor = retryFor
        self.logger = logger
        self.clock = clock
        self.token = token
    }

    /// The events of topics, as they are published, if they are public or the token grants them.
    ///
    /// - Parameters:
    ///   - topics: At least one: an exact topic, a URI template (RFC 6570) such as `https://example.com/books/{id}`, or
    ///     `*` for all topics.
    ///   - lastEventID: The id after which to begin; `earliest` for all events that the hub still has, `""` for the events
    ///     that are published from now on.
    ///   - configuration: The configuration of the source. The client's token and headers replace its own.
    /// - Returns: a source, which connects when you iterate over it. It throws ``EventSourceError``.
    public func subscribe(
        to topics: String..., lastEventID: String = "",
        configuration: EventSource.Configuration = EventSource.Configuration()
    ) -> EventSource {
        subscribe(to: topics, lastEventID: lastEventID, configuration: configuration)
    }

    /// The events of topics in an array. Parameters and result are those of the method with separate topics.
    public func subscribe(
        to topics: [String], lastEventID: String = "",
        configuration: EventSource.Configuration = EventSource.Configuration()
    ) -> EventSource {
        var configuration = configuration
        configuration.token = token ?? configuration.token
        configuration.headers.merge(headers) { $1 }
        // If the URL is invalid, the source says so.
        let url = interface == .martlet ? (try? endpoint().text) ?? url : url
        return EventSource(
            URLQuery.adding(topics.map { ("topic", $0) }, to: url), lastEventID: lastEventID,
            configuration: configuration, logger: logger, clock: clock)
    }

    /// Where to post events to, and to subscribe.
    ///
    /// - Throws: ``HubError`` with the code ``HubError/Code/invalidURL``.
    package func endpoint() throws(HubError) -> OutgoingURL {
        let base = try OutgoingURL(hub: url)
        guard interface == .martlet else { return base }
        guard !url.containsExactly(UInt8(ascii: "?")), !url.containsExactly(UInt8(ascii: "#")) else {
            throw HubError(.invalidURL, "The URL of a hub has no query and no fragment. Give it without them.")
        }
        // A batch that is posted to a topic would be one event.
        guard !base.requestTarget.splitExactly(at: UInt8(ascii: "/")).contains(where: { $0.isExactly("events") }) else {
            throw HubError(.invalidURL, "Give the URL of the hub without /events, and the topic separately.")
        }
        return try OutgoingURL(hub: base.text + (base.text.endsExactly(with: "/") ? "events" : "/events"))
    }
}

extension OutgoingURL {
    /// - Throws: ``HubError`` with the code ``HubError/Code/invalidURL``. It does not repeat the text, which may contain a
    ///   password.
    init(hub text: String) throws(HubError) {
        do { try self.init(text) } catch {
            let advice = error == .user ? " Send a token instead." : ""
            throw HubError(.invalidURL, "The URL \(error), such as http://localhost:8080.\(advice)")
        }
    }
}

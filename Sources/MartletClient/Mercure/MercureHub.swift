// SPDX-License-Identifier: Apache-2.0

public import Logging
import MartletOutgoing
import MartletSupport

/// A hub that speaks the [Mercure](https://mercure.rocks) protocol, version 0 (draft-dunglas-mercure-07), of Martlet or
/// another: updates are published to its topics, and subscribed to.
///
///     let hub = MercureHub("https://example.com/.well-known/mercure") { try await tokens.current() }
///     try await hub.publish("in stock", to: "https://example.com/books/1")
///     for try await update in hub.subscribe(to: "https://example.com/books/{id}") {
///         print(update.data ?? "")
///     }
///
/// ``discover(from:headers:timeout:clock:)`` finds the hub of a resource.
public struct MercureHub: Sendable {
    /// Where the hub is, an `http` or `https` URL.
    public let url: String

    /// How long to wait for the answer to a publish.
    public var timeout = Self.defaultTimeout

    /// 30 seconds.
    public static let defaultTimeout = Duration.seconds(30)

    private let token: (@Sendable () async throws -> String?)?
    private let logger: Logger
    private let clock: any Clock<Duration>

    /// - Parameters:
    ///   - url: Where the hub is. What is wrong with it is said when it is used.
    ///   - logger: For the event sources of the hub.
    ///   - clock: What waits and timeouts are measured with.
    ///   - token: Asked before each publish and each connect of a subscription; what it returns is sent as a bearer
    ///     token, to the origin of the URL only.
    public init(
        _ url: String, logger: Logger = Logger(label: "martlet.client"), clock: any Clock<Duration> = ContinuousClock(),
        token: (@Sendable () async throws -> String?)? = nil
    ) {
        self.url = url
        self.logger = logger
        self.clock = clock
        self.token = token
    }

    /// The updates of topics, as they are published: what matches one of the selectors, and is public or granted to the
    /// token.
    ///
    /// - Parameters:
    ///   - topics: At least one: a topic as it is, a URI template (RFC 6570) such as `https://example.com/books/{id}`,
    ///     or `*` for all. A hub refuses a subscription to none.
    ///   - lastEventID: The update after which to begin; `earliest` for all that the hub still has, `""` for what is
    ///     published from now on.
    ///   - configuration: Of the source; the token is that of the hub, if it has one.
    public func subscribe(
        to topics: String..., lastEventID: String = "",
        configuration: EventSource.Configuration = EventSource.Configuration()
    ) -> EventSource {
        subscribe(to: topics, lastEventID: lastEventID, configuration: configuration)
    }

    /// The updates of topics, like ``subscribe(to:lastEventID:configuration:)``, for topics that a program works out.
    public func subscribe(
        to topics: [String], lastEventID: String = "",
        configuration: EventSource.Configuration = EventSource.Configuration()
    ) -> EventSource {
        var configuration = configuration
        configuration.token = token ?? configuration.token
        let hub = url.cutExactly(at: UInt8(ascii: "#"))?.before ?? url[...]
        let query = FormEncoding.text(topics.map { ("topic", $0) })
        return EventSource(
            "\(hub)\(hub.containsExactly(UInt8(ascii: "?")) ? "&" : "?")\(query)", lastEventID: lastEventID,
            configuration: configuration,
            logger: logger, clock: clock)
    }

    /// Publishes an update.
    ///
    /// It is sent once. After ``MercureError/Code/unavailable``, ``MercureError/Code/timedOut``,
    /// ``MercureError/Code/invalidAnswer`` or a cancellation it may have been published all the same.
    ///
    /// - Parameters:
    ///   - data: What subscribers receive; `nil` for none, which hubs send as `""`.
    ///   - topic: What the update is about, usually a URL.
    ///   - alternates: Other topics whose subscribers are to receive it too, once.
    ///   - isPrivate: Whether only those receive it whose token grants one of the topics.
    ///   - id: The id of the update; `nil` for one of the hub. Some hubs have it stand for the update everywhere, so it
    ///     should be a unique one, such as `urn:uuid:…`.
    ///   - type: The type of the event, see ``EventSource/events(ofType:)``.
    ///   - retry: How long subscribers are to wait before they reconnect, in milliseconds.
    /// - Returns: the id of the update, from which a subscription can go on.
    /// - Throws: ``MercureError``, `CancellationError`, or what the token provider threw.
    @discardableResult
    public func publish(
        _ data: String? = nil, to topic: String, alternates: [String] = [], isPrivate: Bool = false,
        id: String? = nil, type: String? = nil, retry: Int? = nil
    ) async throws -> String {
        let target = try MercureError.checking(url)
        guard retry ?? 0 >= 0 else {
            throw MercureError(.invalidRequest, "The retry is negative. Give milliseconds from 0, or nil for none.")
        }
        var fields = ([topic] + alternates).map { ("topic", $0) }
        if isPrivate { fields.append(("private", "on")) }
        for (name, value) in [("data", data), ("id", id), ("type", type), ("retry", retry.map(String.init))] {
            if let value { fields.append((name, value)) }
        }
        var request = Request(to: target, method: "POST", body: Array(FormEncoding.text(fields).utf8))
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        request.headers.setBearer(try await token?())
        return try await MercureExchange(within: timeout, clock: clock).answer(to: request) { answer, body in
            guard (200...299).contains(answer.status) else { throw MercureError(answer) }
            return try await body.id(status: answer.status)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

extension EventSource {
    /// The request of an event source, and its bounds.
    public struct Configuration: Sendable {
        /// The method of the request; by default `GET`.
        public var method: String

        /// Headers of each request. `Accept`, `Accept-Encoding` and `Cache-Control` replace those of the source;
        /// `Last-Event-ID` is always the source's own. `Authorization`, `Cookie` and `Proxy-Authorization` are only sent
        /// to the origin of the URL, other headers also to where it redirects.
        public var headers: [String: String]

        /// The body of each request; `nil` for none.
        public var body: [UInt8]?

        /// Returns the bearer token to send. It is called before each connect, but not again for a redirect. An error
        /// that it throws ends the source, and so does a 401.
        public var token: (@Sendable () async throws -> String?)?

        /// How long to wait before a reconnect, until the server sends another `retry`. After each connection without an
        /// event, the wait can be up to twice as long. It is at least 100 milliseconds and at most 24 days; by default one
        /// second.
        public var retry: Duration

        /// The longest wait that the source chooses itself, by default 60 seconds. A server can ask for more, with `retry`
        /// or `Retry-After`.
        public var maximumBackoff: Duration

        /// How long a connection can be silent before the source reconnects, by default 60 seconds; `nil` for ever. Any
        /// byte counts, so choose more than the heartbeat of the server. It also bounds the time from the connect to the
        /// end of the response's head, of which connecting can take ten seconds.
        public var readTimeout: Duration?

        /// The most redirects of one connect; by default 20.
        public var maximumRedirects: Int

        /// The largest event, in bytes: its type, its id and its data; by default 16 MiB. A larger one ends the source. A
        /// source can need twice this memory, however slowly an event arrives.
        public var maximumEventBytes: Int

        /// Receives each comment line, in order with the events, on the task that waits for the next event.
        public var onComment: (@Sendable (String) -> Void)?

        /// Receives each new ``EventSource/state``, on the task that waits for the next event.
        public var onStateChange: (@Sendable (State) -> Void)?

        /// Makes a configuration. Each parameter has the default of its property.
        public init(
            method: String = "GET",
            headers: [String: String] = [:],
            body: [UInt8]? = nil,
            token: (@Sendable () async throws -> String?)? = nil,
            retry: Duration = .seconds(1),
            maximumBackoff: Duration = .seconds(60),
            readTimeout: Duration? = .seconds(60),
            maximumRedirects: Int = 20,
            maximumEventBytes: Int = 16 * 1024 * 1024,
            onComment: (@Sendable (String) -> Void)? = nil,
            onStateChange: (@Sendable (State) -> Void)? = nil
        ) {
            self.method = method
            self.headers = headers
            self.body = body
            self.token = token
            self.retry = retry
            self.maximumBackoff = maximumBackoff
            self.readTimeout = readTimeout
            self.maximumRedirects = maximumRedirects
            self.maximumEventBytes = maximumEventBytes
            self.onComment = onComment
            self.onStateChange = onStateChange
        }
    }
}

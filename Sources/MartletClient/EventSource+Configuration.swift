// SPDX-License-Identifier: Apache-2.0

extension EventSource {
    /// What an event source asks for, and what it bears.
    public struct Configuration: Sendable {
        /// The method of the request.
        public var method = "GET"

        /// Headers of each request. `Accept`, `Accept-Encoding` and `Cache-Control` win over those of the source;
        /// `Last-Event-ID` is the source's own. `Authorization`, `Cookie` and `Proxy-Authorization` go to the origin of
        /// the URL only, whatever it redirects to; other headers go along.
        public var headers: [String: String] = [:]

        /// The body of each request; `nil` for none.
        public var body: [UInt8]?

        /// Asked before each connect, but not again for a redirect; what it returns is sent as a bearer token. What it
        /// throws ends the source, and so does a 401.
        public var token: (@Sendable () async throws -> String?)?

        /// How long to wait before a reconnect, until the server says something else with `retry`. A connection that
        /// brought no event makes the waits after it longer, up to twice as long for each. No wait is shorter than 100
        /// milliseconds, or longer than 24 days.
        public var retry = Duration.seconds(1)

        /// The longest wait that a source chooses itself. A server may ask for more, with `retry` or `Retry-After`.
        public var maximumBackoff = Duration.seconds(60)

        /// A connection without a byte for so long is given up and made again; `nil` for never. Any byte counts, so it
        /// has to be longer than the heartbeat of the server. It is also the time for connecting and all of the head of
        /// the answer together; ten seconds of it are for the connection.
        public var readTimeout: Duration? = .seconds(60)

        /// The most redirects of one connect. After a stream, the next connect begins where they led.
        public var maximumRedirects = 20

        /// The largest event, in bytes: its type, its id and its data. It is what a source may need in memory, twice,
        /// however slowly an event comes; a larger one ends the source.
        public var maximumEventBytes = 16 * 1024 * 1024

        /// Told each comment line, in its place among the events, by whoever waits for the next event.
        public var onComment: (@Sendable (String) -> Void)?

        /// Told each new ``EventSource/state``, by whoever waits for the next event.
        public var onStateChange: (@Sendable (State) -> Void)?

        public init() {}
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing

/// Why an event source gave up. Everything else is tried again.
///
/// Match on ``code``; the codes may grow. ``message`` says what to do. Neither holds a header, a query or the data of an
/// event, so both are safe to log.
public struct EventSourceError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// The URL is not `http` or `https`, has no host, has a port that does not exist, or holds a user.
        public static let invalidURL = Code(description: "invalidURL")
        /// The method, a header, the token or the last event id may not stand in a request; CONNECT and TRACE neither.
        public static let invalidRequest = Code(description: "invalidRequest")
        /// The server answered with a status that does not change by asking again; see ``EventSourceError/status``.
        public static let refused = Code(description: "refused")
        /// The answer is not `text/event-stream`.
        public static let wrongContentType = Code(description: "wrongContentType")
        /// The answer is compressed, which was not asked for.
        public static let encoded = Code(description: "encoded")
        /// A redirect leads nowhere.
        public static let invalidRedirect = Code(description: "invalidRedirect")
        /// One redirect followed another too often.
        public static let tooManyRedirects = Code(description: "tooManyRedirects")
        /// An event is larger than the configuration allows.
        public static let tooLarge = Code(description: "tooLarge")
    }

    public let code: Code
    /// The status of the answer, for what is wrong with an answer.
    public let status: Int?
    public let message: String

    public init(_ code: Code, status: Int? = nil, _ message: String) {
        self.code = code
        self.status = status
        self.message = message
    }

    public var description: String { "\(code): \(message)" }
}

extension EventSourceError {
    /// What is wrong with the URL of a source.
    init(_ error: OutgoingURLError) {
        let advice = error == .user ? " Send credentials in headers." : ""
        self.init(.invalidURL, "The URL \(error).\(advice)")
    }
}

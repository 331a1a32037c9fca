// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing

/// Why an event source has ended. All other failures lead to a reconnect.
///
/// Match on ``code``; there may be more codes in later versions. ``message`` says what to do. Neither contains a header, a
/// query or the data of an event, so both are safe to log.
public struct EventSourceError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of an ``EventSourceError``.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The name of the code.
        public let description: String

        /// The URL is not `http` or `https`, has no host, an impossible port, or a user.
        public static let invalidURL = Code(description: "invalidURL")
        /// HTTP does not allow the method, a header, the token or the last event id; or the method is CONNECT or TRACE.
        public static let invalidRequest = Code(description: "invalidRequest")
        /// The server answered with a status that the same request gets again; see ``EventSourceError/status``.
        public static let refused = Code(description: "refused")
        /// The answer is not `text/event-stream`.
        public static let wrongContentType = Code(description: "wrongContentType")
        /// The answer is compressed, although the request did not accept that.
        public static let encoded = Code(description: "encoded")
        /// A redirect leads nowhere.
        public static let invalidRedirect = Code(description: "invalidRedirect")
        /// There are more redirects than ``EventSource/Configuration/maximumRedirects``.
        public static let tooManyRedirects = Code(description: "tooManyRedirects")
        /// An event is larger than ``EventSource/Configuration/maximumEventBytes``.
        public static let tooLarge = Code(description: "tooLarge")
    }

    /// The kind of the error.
    public let code: Code
    /// The status of the answer, if the answer is the problem.
    public let status: Int?
    /// What is wrong, and what to do.
    public let message: String

    /// Makes an error, for tests of your own code for example.
    public init(_ code: Code, status: Int? = nil, _ message: String) {
        self.code = code
        self.status = status
        self.message = message
    }

    /// The code and the message.
    public var description: String { "\(code): \(message)" }
}

extension EventSourceError {
    init(_ error: OutgoingURLError) {
        let advice = error == .user ? " Send credentials in headers." : ""
        self.init(.invalidURL, "The URL \(error).\(advice)")
    }
}

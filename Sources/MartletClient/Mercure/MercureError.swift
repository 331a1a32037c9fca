// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing

/// Why an update was not published, or a hub not found.
///
/// Match on ``code``; the codes may grow. ``message`` says what to do. Neither holds a token, a query, or anything of an
/// update, so both are safe to log.
public struct MercureError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// The URL is not `http` or `https`, has no host, has a port that does not exist, or holds a user.
        public static let invalidURL = Code(description: "invalidURL")
        /// The token, a header or `retry` may not stand in a request.
        public static let invalidRequest = Code(description: "invalidRequest")
        /// The answer has a status that does not change by asking again; see ``MercureError/status``.
        public static let refused = Code(description: "refused")
        /// There is no connection, or the answer is 408, 425, 429 or 5xx. Later it may work.
        public static let unavailable = Code(description: "unavailable")
        /// There is no answer within ``MercureHub/timeout``.
        public static let timedOut = Code(description: "timedOut")
        /// The answer is not that of a hub.
        public static let invalidAnswer = Code(description: "invalidAnswer")
        /// A resource redirects to nowhere, or too often.
        public static let invalidRedirect = Code(description: "invalidRedirect")
        /// A resource names no hub.
        public static let noHub = Code(description: "noHub")
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

extension MercureError {
    /// - Throws: ``MercureError`` with the code ``MercureError/Code/invalidURL``.
    static func checking(_ url: String) throws(MercureError) -> OutgoingURL {
        do { return try OutgoingURL(url) } catch {
            let advice = error == .user ? " Credentials go with the token." : ""
            throw MercureError(.invalidURL, "The URL \(error).\(advice)")
        }
    }

    /// What is wrong with a request, or with a redirect.
    init(_ error: EventSourceError) {
        let code: Code = error.code == .invalidRequest ? .invalidRequest : .invalidRedirect
        self.init(code, status: error.status, error.message)
    }

    /// What an answer that is no success comes to.
    init(_ answer: Answer) {
        self =
            switch answer.status {
            case _ where answer.isPassing:
                Self(.unavailable, status: answer.status, "The server answered \(answer.status). Try later.")
            case _ where answer.isRedirect:
                Self(.refused, status: answer.status, "The URL of the hub redirects. Use the one it leads to.")
            case 401, 403:
                Self(
                    .refused, status: answer.status,
                    "The server answered \(answer.status). Check the token, and that it grants these topics.")
            default:
                Self(
                    .refused, status: answer.status,
                    "The server answered \(answer.status). Check the URL and what is asked of it.")
            }
    }
}

// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Why events were not published, or a hub was not found.
///
/// Match on ``code``; there may be more codes in later versions. ``message`` and `description` say what to do. They
/// contain no token, no query and nothing of an event, so they are safe to log. ``detail`` may not be.
public struct HubError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of a ``HubError``.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The name of the code.
        public let description: String

        /// The URL is not `http` or `https`, has no host, an impossible port, or a user; or the URL of a Martlet hub has a
        /// query, a fragment, or `/events`.
        public static let invalidURL = Code(description: "invalidURL")
        /// HTTP does not allow the token or a header, or the hub's protocol does not have a field of the event.
        public static let invalidRequest = Code(description: "invalidRequest")
        /// The hub answered with a status that the same request gets again; see ``HubError/status``.
        public static let refused = Code(description: "refused")
        /// There is no connection, or the answer is 408, 425, 429 or 5xx. The events may have been published.
        public static let unavailable = Code(description: "unavailable")
        /// There is no answer within ``HubClient/timeout``. The events may have been published.
        public static let timedOut = Code(description: "timedOut")
        /// The answer is not that of a hub.
        public static let invalidAnswer = Code(description: "invalidAnswer")
        /// A resource redirects to nowhere, or too often.
        public static let invalidRedirect = Code(description: "invalidRedirect")
        /// A resource names no hub.
        public static let noHub = Code(description: "noHub")
    }

    /// The kind of the error.
    public let code: Code
    /// The status of the answer, if there is one.
    public let status: Int?
    /// What is wrong, and what to do.
    public let message: String
    /// The hub's own words, the `detail` of its problem document (RFC 9457). They come from the network, may repeat a
    /// part of an event and may contain control characters.
    public let detail: String?
    /// How long the hub asks the client to wait before the next request; zero if it does not say.
    public let retryAfter: Duration
    /// The events of the call that the error is about, by their indices: one event if the hub refuses one, else all events
    /// of the request. Earlier events are published; later ones are not. `nil` if nothing was published.
    public internal(set) var events: Range<Int>?

    /// The line of the batch that the hub names, from 1.
    private let line: Int?

    /// Makes an error, for tests of your own code for example.
    public init(
        _ code: Code, status: Int? = nil, _ message: String, detail: String? = nil, retryAfter: Duration = .zero,
        events: Range<Int>? = nil
    ) {
        self.init(code, status: status, message, detail: detail, retryAfter: retryAfter, events: events, line: nil)
    }

    private init(
        _ code: Code, status: Int?, _ message: String, detail: String?, retryAfter: Duration, events: Range<Int>?,
        line: Int?
    ) {
        self.code = code
        self.status = status
        self.message = message
        self.detail = detail
        self.retryAfter = retryAfter
        self.events = events
        self.line = line
    }

    /// The code and the message.
    public var description: String { "\(code): \(message)" }
}

extension HubError {
    /// The error for an invalid request or redirect.
    init(_ error: EventSourceError) {
        let code: Code = error.code == .invalidRequest ? .invalidRequest : .invalidRedirect
        self.init(code, status: error.status, error.message)
    }

    /// The error for an answer that is no success.
    ///
    /// - Parameter body: The body, as far as it was read.
    init(_ head: ResponseHead, body: [UInt8] = []) {
        let (code, advice): (Code, String) =
            switch head.status {
            case _ where head.isTransient: (.unavailable, "Try later.")
            case _ where head.isRedirect: (.refused, "Use the URL that the hub redirects to.")
            case 401, 403: (.refused, "Check the token, and that it grants these topics.")
            default: (.refused, "Check the URL and the request.")
            }
        let problem = try? JSONDecoder().decode(Problem.self, from: Data(body))
        self.init(
            code, status: head.status, "The server answered \(head.status). \(advice)", detail: problem?.detail,
            retryAfter: head.retryAfter, events: nil, line: problem?.line)
    }

    /// The members of a problem document (RFC 9457) that a client needs.
    private struct Problem: Decodable {
        let detail: String?
        let line: Int?
    }

    /// Whether the same request may succeed later.
    var isTransient: Bool { code == .unavailable || code == .timedOut }

    /// The number of events of a refused batch to publish first without the others, to find the event at fault and to
    /// publish those before it; `nil` if the first event is at fault, or the request.
    func eventsToTry(of count: Int) -> Int? {
        guard code == .refused else { return nil }
        if let line, (1...count).contains(line) { return line > 1 ? line - 1 : nil }
        return concernsEvents && count > 1 ? count / 2 : nil
    }

    /// This error for the events of a request whose splitting has come to an end.
    func about(_ events: Range<Int>) -> HubError {
        var error = self
        let isOfOneEvent = code == .refused && (line != nil || concernsEvents)
        error.events = isOfOneEvent ? events.prefix(1) : events
        return error
    }

    /// Whether the reason may be some of the events and not the request: their content, their topics or their size.
    private var concernsEvents: Bool { status.map([400, 403, 413, 422].contains) ?? false }
}

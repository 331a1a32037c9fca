// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
public import Logging
public import MartletHTTP
import MartletOutgoing
import MartletSupport
import NIOCore
import NIOHTTP1

/// Asks the application what a client may do. For each request, it sends a GET to one URL, with
///
/// - `Authorization` of the request, or otherwise its `Cookie`,
/// - `X-Martlet-Purpose`: `subscribe` or `publish`,
/// - `X-Forwarded-Method`, `X-Forwarded-Uri` (without tokens in the query) and `X-Forwarded-For`.
///
/// 200 with a JSON object grants:
///
///     {"principal": "alice", "subscribe": ["users/alice"], "publish": [], "public": false,
///      "expires": "2026-12-24T18:00:00Z", "payload": {"name": "Alice"}}
///
/// All members are optional; `expires` may also be a number of seconds since 1970. 401 and 403 refuse; the `detail` of a
/// problem document (RFC 9457) is passed on. Any other answer, or none in time, becomes 503.
///
/// An answer is cached for the `max-age` of its `Cache-Control`, for the same credentials and purpose; with
/// `Vary: X-Forwarded-Uri` or `X-Forwarded-For`, for the same URI or address only.
public struct ForwardAccess: Sendable {
    private let client: ForwardClient<ContinuousClock>
    private let publishOrigins: [OriginPattern]
    private let url: OutgoingURL
    private let limits: ForwardLimits

    /// - Parameters:
    ///   - url: `http` or `https`. Its answers are trusted, so only the application may answer there.
    ///   - publishOrigins: The origins whose pages may publish with a cookie and without `Authorization`.
    ///   - logger: Logs that the application does not answer, at most once a second as a warning.
    /// - Throws: ``PolicyError`` if this is no such URL.
    public init(
        url: String, publishOrigins: [OriginPattern] = [], limits: ForwardLimits = ForwardLimits(), logger: Logger
    ) throws(PolicyError) {
        do { self.url = try OutgoingURL(setting: url) } catch { throw PolicyError("URL", "It \(error).") }
        self.publishOrigins = publishOrigins
        self.limits = limits
        client = ForwardClient(limits: limits, clock: ContinuousClock(), logger: logger)
    }

    /// The access for the routes of a hub.
    public func access<Context>() -> Access<Context> {
        Access { request, _, purpose in try await grant(for: request, to: purpose) }
    }

    /// Drops the cached answers for a principal. Answers that are on their way are not cached.
    public func forget(_ principal: String) { client.forget(principal) }

    func grant(for request: HubRequest, to purpose: AccessPurpose) async throws -> Grant {
        let authorization = request.headers[values: .authorization]
        // As with tokens, the header wins over a cookie.
        let cookies = authorization.isEmpty ? request.headers[values: .cookie] : []
        // A page must set a bearer token itself. A browser sends cookies and `Basic` credentials with the requests of all
        // pages.
        let isChosen = authorization.allSatisfy { $0.asciiLowercased.startsExactly(with: "bearer ") } && cookies.isEmpty
        if !isChosen {
            do { try Credentials.checkOrigin(of: request, publishOrigins) } catch { throw error.problem }
        }
        let uri = request.target(without: Self.queryCredentials)
        let addresses = (request.headers[values: .forwardedFor] + [request.remoteAddress?.ipAddress ?? "unknown"])
            .joined(separator: ", ")
        let name = purpose == .subscribe ? "subscribe" : "publish"
        var question = OutgoingRequest(url: url, timeout: limits.timeout, maximumBytes: limits.maximumAnswerBytes)
        for value in authorization { question.headers.add(name: "authorization", value: value) }
        for value in cookies { question.headers.add(name: "cookie", value: value) }
        question.headers.add(name: "x-martlet-purpose", value: name)
        question.headers.add(name: "x-forwarded-method", value: request.method.rawValue)
        question.headers.add(name: "x-forwarded-uri", value: uri)
        question.headers.add(name: "x-forwarded-for", value: addresses)
        let key = ForwardKey(
            purpose: name, authorization: authorization, cookies: cookies, uri: uri, address: addresses)
        return try await client.answer(to: question, key: key).get()
    }

    /// The query parameters that hold credentials: tokens, and tickets for one connection.
    private static let queryCredentials = [HubRequest.tokenParameter, "access_token", "ticket"]
}

/// The bounds of ``ForwardAccess``.
public struct ForwardLimits: Hashable, Sendable {
    /// The time that the application has to answer.
    public var timeout = Duration.seconds(5)
    /// The most questions that wait for an answer at the same time. Further requests get 503.
    public var maximumQuestions = 1000
    /// The largest answer.
    public var maximumAnswerBytes = 64 * 1024
    /// The longest time that an answer is cached, whatever its `Cache-Control` says.
    public var maximumAge = Duration.seconds(300)
    /// The most answers that are cached.
    public var maximumAnswers = 10_000
    /// The longest reason of a refusal that is passed on, in bytes of UTF-8; a longer one is cut.
    public var maximumDetail = 1000
    /// `Retry-After` for clients while the application does not answer.
    public var retryAfter = Duration.seconds(1)

    public init() {}
}

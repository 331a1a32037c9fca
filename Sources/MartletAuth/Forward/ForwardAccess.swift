// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
public import Logging
public import MartletHTTP
import MartletOutgoing
import MartletSupport
import NIOCore
import NIOHTTP1

/// Asks the application who may do what: for each request a GET to a URL of its own, with
///
/// - `Authorization` as it came, else `Cookie`,
/// - `X-Martlet-Purpose`: `subscribe` or `publish`,
/// - `X-Forwarded-Method`, `X-Forwarded-Uri` (without tokens in the query) and `X-Forwarded-For`.
///
/// 200 with a JSON object grants:
///
///     {"principal": "alice", "subscribe": ["users/alice"], "publish": [], "public": false,
///      "expires": "2026-12-24T18:00:00Z", "payload": {"name": "Alice"}}
///
/// All members may be missing; `expires` may also be a number of seconds since 1970. 401 and 403 refuse, with the `detail`
/// of a problem document (RFC 9457). Anything else, or nothing in time, is answered with 503.
///
/// An answer is remembered for the `max-age` of its `Cache-Control`, for these credentials and this purpose; with
/// `Vary: X-Forwarded-Uri` or `X-Forwarded-For` for this URI or address only.
public struct ForwardAccess: Sendable {
    private let source: ForwardSource<ContinuousClock>
    private let publishOrigins: [OriginPattern]
    private let url: OutgoingURL
    private let limits: ForwardLimits

    /// - Parameters:
    ///   - url: `http` or `https`. What it answers is believed, so no one else may answer there.
    ///   - publishOrigins: The origins whose pages may publish with a cookie and without `Authorization`.
    /// - Throws: ``PolicyError`` where this is no such URL.
    public init(
        url: String, publishOrigins: [OriginPattern] = [], limits: ForwardLimits = ForwardLimits(), logger: Logger
    ) throws(PolicyError) {
        do { self.url = try OutgoingURL(setting: url) } catch { throw PolicyError("URL", "It \(error).") }
        self.publishOrigins = publishOrigins
        self.limits = limits
        source = ForwardSource(limits: limits, clock: ContinuousClock(), logger: logger)
    }

    public func access<Context>() -> Access<Context> {
        Access { request, _, purpose in try await grant(for: request, to: purpose) }
    }

    /// Forgets what the application said of a principal, also what it is about to say.
    public func forget(_ principal: String) { source.forget(principal) }

    func grant(for request: HubRequest, to purpose: AccessPurpose) async throws -> Grant {
        let authorization = request.headers[values: .authorization]
        // As with tokens the header wins, and a cookie that comes along counts for nothing.
        let cookies = authorization.isEmpty ? request.headers[values: .cookie] : []
        // Only what a page has to set itself shows that it wanted this: cookies, and what a browser has stored for
        // `Basic`, come along with whatever any page does.
        let isChosen = authorization.allSatisfy { $0.asciiLowercased.startsExactly(with: "bearer ") } && cookies.isEmpty
        if !isChosen {
            do { try Credentials.checkOrigin(of: request, publishOrigins) } catch { throw error.problem }
        }
        let uri = request.target(without: Self.queryCredentials)
        let addresses = (request.headers[values: .forwardedFor] + [request.remoteAddress?.ipAddress ?? "unknown"]).joined(separator: ", ")
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
        return try await source.answer(to: question, key: key).get()
    }

    /// Parameters that are credentials: tokens, and tickets for one connection.
    private static let queryCredentials = [HubRequest.tokenParameter, "access_token", "ticket"]
}

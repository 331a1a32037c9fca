// SPDX-License-Identifier: Apache-2.0

import HTTPTypes

/// What pages of other origins may do with a hub (CORS, Fetch standard section 3.2).
///
/// An origin that is named may send cookies and read everything; where `*` is allowed, every other may read without them.
struct CrossOriginRules: Sendable {
    /// What clients of `addHub` and `addMercure` send: credentials, where they stand, and what they publish.
    static let allowedHeaders = [
        "authorization", "cache-control", "content-type", "event-id", "event-key", "event-private", "event-retry",
        "event-type", "idempotency-key", "last-event-id", "x-requested-with",
    ].joined(separator: ", ")
    static let exposedHeaders = "Last-Event-ID, Link, Martlet-Gap"
    /// How long a browser may remember the answer to a preflight, in seconds.
    static let preflightAge = 7200

    let allowed: [OriginPattern]

    /// - Parameter origin: The header `Origin`; `nil`: none, as from the hub's own pages.
    func headers(for origin: String?) -> HTTPFields {
        var headers: HTTPFields = [:]
        if allowed.contains(where: { !$0.isWildcard }) { headers[.vary] = "Origin" }
        guard let origin else { return headers }
        if allowed.contains(where: { !$0.isWildcard && $0.matches(origin) }) {
            headers[.accessControlAllowOrigin] = origin
            headers[.accessControlAllowCredentials] = "true"
        } else if allowed.contains(where: \.isWildcard) {
            headers[.accessControlAllowOrigin] = "*"
        } else {
            return headers
        }
        headers[.accessControlExposeHeaders] = Self.exposedHeaders
        return headers
    }

    /// What a preflight is answered besides.
    func preflightHeaders(for origin: String?, methods: String) -> HTTPFields {
        var headers = headers(for: origin)
        guard headers.contains(.accessControlAllowOrigin) else { return headers }
        headers[.accessControlAllowMethods] = methods
        headers[.accessControlAllowHeaders] = Self.allowedHeaders
        headers[.accessControlMaxAge] = "\(Self.preflightAge)"
        headers[.accessControlExposeHeaders] = nil
        return headers
    }
}

// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird

/// Lets pages of other origins use the routes behind it (CORS, Fetch standard section 3.2). It answers preflights, also for
/// requests that need credentials, and adds its headers to every answer, including refusals.
///
/// An origin that is named exactly or by `https://*.example.com` may send cookies. `*` lets every origin read, without
/// cookies. Add it in front of the middleware that turns errors into answers.
public struct CrossOriginMiddleware<Context: RequestContext>: RouterMiddleware {
    private let rules: CrossOriginRules

    /// - Parameter origins: The origins whose pages may use the routes.
    public init(allowing origins: [OriginPattern]) { rules = CrossOriginRules(allowed: origins) }

    /// Adds the headers to the answer or the error of the next responder.
    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let origin = request.headers[.origin]
        do {
            var response = try await next(request, context)
            let isPreflight = request.method == .options && request.headers.contains(.accessControlRequestMethod)
            let headers =
                if isPreflight {
                    rules.preflightHeaders(for: origin, methods: response.headers[.allow] ?? "")
                } else { rules.headers(for: origin) }
            response.headers.append(contentsOf: headers)
            return response
        } catch let error as any HTTPResponseError {
            var response = try error.response(from: request, context: context)
            response.headers.append(contentsOf: rules.headers(for: origin))
            return response
        }
    }
}

extension HTTPField.Name {
    fileprivate static let accessControlRequestMethod = HTTPField.Name("Access-Control-Request-Method")!
}

/// The CORS headers for each origin. An origin that is named may send cookies and read everything; if `*` is allowed, every
/// other origin may read without cookies.
struct CrossOriginRules: Sendable {
    /// The headers that clients of `addHub` and `addMercure` send.
    static let allowedHeaders = [
        "authorization", "cache-control", "content-type", "event-id", "event-key", "event-private", "event-retry",
        "event-type", "idempotency-key", "if-none-match", "last-event-id", "stream-writer", "x-requested-with",
    ].joined(separator: ", ")
    static let exposedHeaders = "ETag, Last-Event-ID, Link, Martlet-End, Martlet-Gap"
    /// How long a browser may cache the answer to a preflight, in seconds.
    static let preflightAge = 7200

    let allowed: [OriginPattern]

    /// - Parameter origin: The header `Origin`; `nil` if there is none, as from pages of the hub.
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

    /// The headers of the answer to a preflight.
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

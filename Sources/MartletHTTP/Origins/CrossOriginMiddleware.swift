// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird

/// Lets pages of other origins use the routes behind it (CORS, Fetch standard section 3.2): answers preflights, also of
/// requests that would need credentials, and says on every answer, refusals among them, who may read it.
///
/// An origin that is named exactly or by `https://*.example.com` may send cookies; `*` lets every origin read, without
/// cookies. It stands in front of whatever turns errors into answers.
public struct CrossOriginMiddleware<Context: RequestContext>: RouterMiddleware {
    private let rules: CrossOriginRules

    public init(allowing origins: [OriginPattern]) { rules = CrossOriginRules(allowed: origins) }

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

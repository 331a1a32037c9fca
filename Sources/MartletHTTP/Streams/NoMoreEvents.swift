// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird

/// Thrown by the handler of a stream when there is nothing more to come, now or later: answered with 204, after which an
/// `EventSource` does not come back (WHATWG HTML, section 9.2.3).
///
/// It has to be thrown before anything is sent. A stream that ends after that is connected to again, so the handler gets to
/// throw it then.
public struct NoMoreEvents: Error, Hashable, Sendable, HTTPResponseError {
    public init() {}

    public var status: HTTPResponse.Status { .noContent }

    public func response(from request: Request, context: some RequestContext) -> Response {
        Response(status: .noContent, headers: [.cacheControl: "no-store", .xContentTypeOptions: "nosniff"])
    }
}

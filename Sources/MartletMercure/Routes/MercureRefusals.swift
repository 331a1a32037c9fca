// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import MartletHTTP

/// What the rules of the protocol refuse is answered as a problem document, wherever it is thrown.
extension MercureProblem: HTTPResponseError {
    var status: HTTPResponse.Status { HTTPResponse.Status(integerLiteral: statusCode) }

    func response(from request: Request, context: some RequestContext) -> Response {
        let problem = Problem(status, message, field: field)
        return (statusCode == 401 ? problem.unauthorized : problem).response(from: request, context: context)
    }
}

extension Problem {
    /// The same as version 0 answers it where a right is missing: 401, and how to identify oneself (RFC 9110 section
    /// 15.5.2).
    var unauthorized: Problem {
        var problem = self
        problem.status = .unauthorized
        if !problem.headers.contains(.wwwAuthenticate) { problem.headers[.wwwAuthenticate] = "Bearer" }
        return problem
    }
}

extension Access {
    /// What the one who asks may do. A refusal of status 401 says how to identify oneself.
    func mercureGrant(for request: HubRequest, context: Context, to purpose: AccessPurpose) async throws -> Grant {
        do {
            return try await grant(for: request, context: context, to: purpose)
        } catch let problem as Problem where problem.status == .unauthorized {
            throw problem.unauthorized
        }
    }
}

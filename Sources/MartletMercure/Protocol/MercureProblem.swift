// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet
import MartletHTTP

/// The reason why a request of the Mercure protocol is refused, with its status in version 0 (draft-dunglas-mercure-07).
struct MercureProblem: Error, Hashable, CustomStringConvertible {
    /// The HTTP status: 400 for a malformed request, 401 for credentials, 403 for the reserved namespace, 413 for a request
    /// that is too large, 503 if the hub is overloaded or does not run.
    let statusCode: Int
    /// The parameter at fault, as the protocol names it; `nil` if it is none.
    let field: String?
    /// What is wrong and what to do. Never contains a token or the data of an update.
    let message: String

    init(_ statusCode: Int, _ message: String, field: String? = nil) {
        self.statusCode = statusCode
        self.field = field
        self.message = message
    }

    /// A refusal by the hub. The fields of an event have the same names in the form.
    init(_ error: MartletError) {
        switch error.code {
        case .reservedTopic: self.init(403, error.message, field: error.field)
        case .tooLarge: self.init(413, error.message, field: error.field)
        case .overloaded, .notRunning: self.init(503, error.message)
        default: self.init(400, error.message, field: error.field)
        }
    }

    var description: String { message }
}

/// Becomes a problem document, wherever it is thrown.
extension MercureProblem: HTTPResponseError {
    var status: HTTPResponse.Status { HTTPResponse.Status(integerLiteral: statusCode) }

    func response(from request: Request, context: some RequestContext) -> Response {
        let problem = Problem(status, message, field: field)
        return (statusCode == 401 ? problem.unauthorized : problem).response(from: request, context: context)
    }
}

extension Problem {
    /// The same problem with status 401, which version 0 of the protocol has for missing rights, and a challenge (RFC 9110
    /// section 15.5.2).
    var unauthorized: Problem {
        var problem = self
        problem.status = .unauthorized
        if !problem.headers.contains(.wwwAuthenticate) { problem.headers[.wwwAuthenticate] = "Bearer" }
        return problem
    }
}

extension Access {
    /// What the client may do. A refusal of status 401 has a challenge.
    func mercureGrant(for request: HubRequest, context: Context, to purpose: AccessPurpose) async throws -> Grant {
        do {
            return try await grant(for: request, context: context, to: purpose)
        } catch let problem as Problem where problem.status == .unauthorized {
            throw problem.unauthorized
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet

/// Why a request of the Mercure protocol is refused, with the status that v0 (draft-dunglas-mercure-07) answers.
struct MercureProblem: Error, Hashable, CustomStringConvertible {
    /// The HTTP status: 400 for what cannot be understood, 401 for credentials, 403 for the reserved namespace, 413 for
    /// what is too large, 503 where the hub cannot now.
    let status: Int
    /// The parameter at fault, as the protocol names it; `nil` where it is none.
    let field: String?
    /// What is wrong and what to do. Never contains a token or the data of an update.
    let message: String

    init(_ status: Int, _ message: String, field: String? = nil) {
        self.status = status
        self.field = field
        self.message = message
    }

    /// What the hub refused, in the words of the form: an event's fields have the same names there.
    init(_ error: MartletError) {
        switch error.code {
        case .tooLarge: self.init(413, error.message, field: error.field)
        case .overloaded, .notRunning: self.init(503, error.message)
        default: self.init(400, error.message, field: error.field)
        }
    }

    /// The body is over the limit.
    static func bodyTooLarge(limit: Int) -> MercureProblem {
        MercureProblem(413, "The body is over \(limit) bytes. Send less.")
    }

    var description: String { message }
}

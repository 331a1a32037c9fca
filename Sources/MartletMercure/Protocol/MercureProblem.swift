// SPDX-License-Identifier: Apache-2.0

import Martlet

/// Why a request of the Mercure protocol is refused, with the status that v0 (draft-dunglas-mercure-07) answers.
struct MercureProblem: Error, Hashable, CustomStringConvertible {
    /// The HTTP status: 400 for what cannot be understood, 401 for credentials, 403 for the reserved namespace, 413 for
    /// what is too large, 503 where the hub cannot now.
    let statusCode: Int
    /// The parameter at fault, as the protocol names it; `nil` where it is none.
    let field: String?
    /// What is wrong and what to do. Never contains a token or the data of an update.
    let message: String

    init(_ statusCode: Int, _ message: String, field: String? = nil) {
        self.statusCode = statusCode
        self.field = field
        self.message = message
    }

    /// What the hub refused, in the words of the form: an event's fields have the same names there.
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

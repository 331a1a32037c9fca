// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import MartletHTTP
import Synchronization

extension Access {
    /// The policy: a user may subscribe to the topic of their own orders while they are logged in, and to nothing else.
    static func toOwnOrders(_ sessions: Sessions) -> Access {
        Access { request, _, purpose in
            guard let session = sessions[request.cookie("session")] else { throw Problem(.unauthorized, "Log in.") }
            guard purpose == .subscribe else { throw Problem(.forbidden, "Only the shop changes orders.") }
            let own = TopicSelector(try Topic("orders/\(session.user)"))
            return Grant(principal: session.user, subscribe: [own], end: session.end)
        }
    }
}

struct Login: Decodable {
    var user: String
    var password: String
}

struct Session {
    var user: String
    var end: Date
}

/// Who is logged in, by the token in their cookie.
final class Sessions: Sendable {
    // An application looks up users in its database, and compares hashes.
    private let passwords = ["alice": "wonderland", "bob": "builder"]
    private let sessions = Mutex<[String: Session]>([:])

    subscript(token: String?) -> Session? {
        guard let token, let session = sessions.withLock({ $0[token] }), session.end > .now else { return nil }
        return session
    }

    /// Returns the token of a new session, or `nil` if the password is wrong.
    func open(_ login: Login) -> String? {
        guard passwords[login.user] == login.password else { return nil }
        let token = UUID().uuidString
        sessions.withLock { sessions in
            sessions = sessions.filter { $0.value.end > .now }
            sessions[token] = Session(user: login.user, end: .now + 3600)
        }
        return token
    }

    func close(_ token: String?) -> Session? {
        token.flatMap { token in sessions.withLock { $0.removeValue(forKey: token) } }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What pages of other origins may do with the hub (CORS, Fetch standard section 3.2), and whose cookies it believes.
struct CrossOrigin: Sendable {
    /// What an answer says to an origin.
    struct Answer: Hashable, Sendable {
        /// `Access-Control-Allow-Origin`; `nil`: the header is not sent, and the browser keeps the answer to itself.
        var allowOrigin: String?
        /// Whether `Access-Control-Allow-Credentials: true` is sent: never with `*`.
        var allowsCredentials = false
        /// Whether `Vary: Origin` is sent. It is also where no origin was allowed.
        var varies = false
    }

    static let allowedMethods = ["GET", "HEAD", "POST"]
    static let allowedHeaders = ["authorization", "cache-control", "last-event-id"]
    static let exposedHeaders = ["Link", "Last-Event-ID"]

    let allowed: [OriginPattern]

    /// - Parameter origin: The header `Origin`. `nil`: none, as from the hub's own pages.
    func answer(to origin: String?) -> Answer {
        var answer = Answer(varies: allowed.contains { !$0.isWildcard })
        guard let origin else { return answer }
        if allowed.contains(where: { !$0.isWildcard && $0.matches(origin) }) {
            answer.allowOrigin = origin
            answer.allowsCredentials = true
        } else if allowed.contains(where: \.isWildcard) {
            answer.allowOrigin = "*"
        }
        return answer
    }

    /// Checks where a POST comes from whose token is in a cookie: `Origin`, else the origin of `Referer`.
    ///
    /// - Throws: ``MercureProblem`` of status 401 where neither is there, or it is not allowed.
    func checkCookiePost(origin: String?, referer: String?) throws(MercureProblem) {
        guard let source = origin ?? referer.flatMap(Self.origin(ofURL:)) else {
            throw MercureProblem(
                401, "A token in a cookie needs the header Origin or Referer. Send the token in Authorization instead.",
                field: "Origin")
        }
        guard allowed.contains(where: { $0.matches(source) }) else {
            throw MercureProblem(
                401, "This origin may not publish with a cookie. Add it to the publish origins.", field: "Origin")
        }
    }

    /// The scheme and the host of a URL: what is before its path. `nil` where it has none, or names a user.
    static func origin(ofURL url: String) -> String? {
        guard let scheme = url.firstIndex(of: ":"), url[scheme...].hasPrefix("://") else { return nil }
        let authority = url[scheme...].dropFirst(3).prefix { !"/\\?#".contains($0) }
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
        return String(url[..<authority.endIndex])
    }
}

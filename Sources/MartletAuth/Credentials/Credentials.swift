// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletHTTP
import MartletSupport

/// The token of a request, and where it was.
struct Credentials: CustomStringConvertible, CustomReflectable {
    /// The places that are searched for a token, in this order. The first token that is found counts.
    enum Place: String {
        case header = "Authorization"
        case query = "authorization"
        case cookie = "Cookie"
    }

    let place: Place
    let token: String

    private static let scheme = "Bearer"

    /// The credentials of a request; `nil` if it has none.
    ///
    /// - Throws: ``TokenRefusal`` if they are not one token, or come in a cookie from a page that may not use it.
    static func find(in request: HubRequest, _ rules: CredentialRules) throws(TokenRefusal) -> Credentials? {
        let headers = request.headers[values: .authorization]
        if !headers.isEmpty { return Credentials(.header, try bearerToken(of: headers)) }
        if rules.acceptsQueryParameter {
            let values = request.queryTokens
            if !values.isEmpty { return Credentials(.query, try queryToken(of: values)) }
        }
        guard let name = rules.cookieName, let token = request.cookie(name) else { return nil }
        try checkOrigin(of: request, rules.publishOrigins)
        return Credentials(.cookie, token)
    }

    private init(_ place: Place, _ token: String) {
        self.place = place
        self.token = token
    }

    /// RFC 6750 section 2.1. The case of the scheme does not matter (RFC 9110 section 11.1).
    private static func bearerToken(of headers: [String]) throws(TokenRefusal) -> String {
        let field = Place.header.rawValue
        guard headers.count == 1 else {
            throw TokenRefusal(.ambiguous, "There are \(headers.count) headers Authorization. Send one.", field: field)
        }
        let header = headers[0].trimmingBlanks
        let (first, rest) = header.cutExactly(at: UInt8(ascii: " ")) ?? (header, "")
        guard first.isExactlyIgnoringCase(scheme) else {
            throw TokenRefusal(
                .wrongScheme, "The header Authorization is not of the form: Bearer, a space, a token.", field: field)
        }
        let token = rest.trimmingBlanks
        guard !token.isEmpty else {
            throw TokenRefusal(.malformed, "The header Authorization has no token after Bearer.", field: field)
        }
        return String(token)
    }

    private static func queryToken(of values: [String]) throws(TokenRefusal) -> String {
        let field = Place.query.rawValue
        guard values.count == 1 else {
            throw TokenRefusal(
                .ambiguous, "There are \(values.count) parameters authorization. Send one.", field: field)
        }
        guard !values[0].isEmpty else {
            throw TokenRefusal(.malformed, "The parameter authorization is empty.", field: field)
        }
        return values[0]
    }

    /// Checks where a request comes from that changes something. A browser sends the cookie with the requests of every
    /// page, so a cookie identifies the user but does not prove that the user wanted the request.
    static func checkOrigin(of request: HubRequest, _ allowed: [OriginPattern]) throws(TokenRefusal) {
        guard !request.method.isSafe else { return }
        let field = "Origin"
        guard let origin = request.sourceOrigin else {
            throw TokenRefusal(
                .originNotAllowed,
                "With a cookie, Origin or Referer must say which page this comes from. Programs send Authorization.",
                field: field)
        }
        guard allowed.contains(where: { $0.matches(origin) }) else {
            throw TokenRefusal(
                .originNotAllowed,
                "Pages of this origin may not publish with a cookie. Allow it among the publish origins.",
                field: field)
        }
    }

    var description: String { "credentials in \(place.rawValue)" }
    var customMirror: Mirror { Mirror(self, children: ["place": place]) }
}

extension HTTPRequest.Method {
    /// Whether the method changes nothing (RFC 9110 section 9.2.1; QUERY).
    fileprivate var isSafe: Bool {
        [.get, .head, .options, .trace].contains(self) || rawValue.isExactly("QUERY")
    }
}

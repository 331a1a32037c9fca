// SPDX-License-Identifier: Apache-2.0

import MartletHTTP
import MartletSupport

/// Tells access tokens from the other tokens that an identity provider signs with the same keys.
///
/// A header with `typ` says it, if it names a kind at all (`…+jwt`). Else the claims are looked at, for what only the other
/// kinds have: providers put `sid`, `auth_time`, `azp` and `email` into their access tokens too, and the one or other
/// `nonce`, so these alone say nothing.
enum TokenKind {
    /// - Throws: ``TokenRefusal`` of code `wrongKind`.
    static func check(type: String?, claims: JSONValue) throws(TokenRefusal) {
        if let kind = type.flatMap(Self.kind) {
            // Whoever says so means it (RFC 9068 section 2.1).
            if kind.isExactly("at+jwt") { return }
            if kind.containsExactly(UInt8(ascii: "+")) {
                throw refusal("The typ in the header of the token says that it is not an access token.")
            }
        }
        if isSecurityEvent(claims) {
            throw refusal("The token is a logout token or another security event, and no access token.")
        }
        if isIdentity(claims) {
            throw refusal("The token is an ID token: it tells an application who somebody is, and grants nothing.")
        }
    }

    private static func refusal(_ reason: String) -> TokenRefusal {
        TokenRefusal(.wrongKind, "\(reason) Send an access token.")
    }

    /// `typ` without regard to case, and without the `application/` that may be left out (RFC 8725 section 3.11).
    private static func kind(_ type: String) -> String {
        let type = type.asciiLowercased
        return String(type.cutting(prefix: "application/") ?? type[...])
    }

    /// RFC 8417 section 2.2; OpenID Connect Back-Channel Logout section 2.4.
    private static func isSecurityEvent(_ claims: JSONValue) -> Bool {
        if case .object = claims["events"] { return true }
        return claims["typ"] == .string("Logout")
    }

    /// OpenID Connect Core sections 2 and 3.3.2.11; `typ` is Keycloak's, which also signs refresh tokens, and `token_use`
    /// is Cognito's.
    private static func isIdentity(_ claims: JSONValue) -> Bool {
        if ["ID", "Refresh", "Offline"].contains(where: { claims["typ"] == .string($0) }) { return true }
        if claims["token_use"] == .string("id") { return true }
        func has(_ name: String) -> Bool { claims[name].map { !$0.isNull } ?? false }
        if has("at_hash") || has("c_hash") || has("s_hash") { return true }
        // Keycloak before version 25 has it in access tokens.
        return has("nonce") && !has("scope") && !has("scp") && claims["typ"] != .string("Bearer")
    }
}

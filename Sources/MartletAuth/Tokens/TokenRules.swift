// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletHTTP
import MartletSupport

/// Checks the claims of a token whose signature is valid.
struct TokenRules: Sendable {
    var audience = ClaimRule.any
    var issuer = ClaimRule.any
    /// How long a token is valid before `nbf` and after `exp`, in seconds.
    var leeway: TimeInterval = 0

    /// - Throws: ``TokenRefusal`` of the first rule that the token breaks.
    func check(_ header: TokenHeader, _ claims: JSONValue, at now: Date) throws(TokenRefusal) -> VerifiedToken {
        try TokenKind.check(type: header.type, claims: claims)
        try checkIssuer(claims)
        try checkAudience(claims)
        return try VerifiedToken(claims, at: now, leeway: leeway)
    }

    private func checkIssuer(_ claims: JSONValue) throws(TokenRefusal) {
        guard issuer != .any else { return }
        guard let claim = claims["iss"], !claim.isNull else {
            throw TokenRefusal(
                .wrongIssuer, "The token names no issuer: it has no claim iss, and one is needed here.")
        }
        guard let name = claim.stringValue else {
            throw TokenRefusal(.claimMalformed, "The claim iss of the token is \(claim.kind), not a string.")
        }
        guard issuer.allows([name]) else {
            throw TokenRefusal(
                .wrongIssuer, "The claim iss of the token names an issuer that is not accepted here.")
        }
    }

    private func checkAudience(_ claims: JSONValue) throws(TokenRefusal) {
        guard audience != .any else { return }
        guard let claim = claims["aud"], !claim.isNull else {
            throw TokenRefusal(
                .wrongAudience, "The token names no audience: it has no claim aud, and one is needed here.")
        }
        guard let names = claims.audiences else {
            throw TokenRefusal(
                .claimMalformed, "The claim aud of the token must be a string or an array of strings.")
        }
        guard audience.allows(names) else {
            throw TokenRefusal(
                .wrongAudience,
                "The token is for another audience: its claim aud has none that is accepted here. Get a token for this hub."
            )
        }
    }
}

extension JSONValue {
    /// The claim `aud` (RFC 7519 section 4.1.3); `nil` if it is missing or malformed.
    var audiences: [String]? {
        guard let claim = self["aud"] else { return nil }
        return claim.stringValue.map { [$0] } ?? claim.strings
    }
}

/// Tells access tokens from the other tokens that an identity provider signs with the same keys.
///
/// `typ` in the header decides, if it names a kind (`…+jwt`). Otherwise the claims decide that only the other kinds have.
/// Providers put `sid`, `auth_time`, `azp` and `email` into access tokens, too, and some of them `nonce`, so these claims
/// alone decide nothing.
enum TokenKind {
    /// - Throws: ``TokenRefusal`` of code `wrongKind`.
    static func check(type: String?, claims: JSONValue) throws(TokenRefusal) {
        if let kind = type.flatMap(Self.kind) {
            // RFC 9068 section 2.1.
            if kind.isExactly("at+jwt") { return }
            if kind.containsExactly(UInt8(ascii: "+")) {
                throw refusal("The typ in the header of the token says that it is not an access token.")
            }
        }
        if isSecurityEvent(claims) {
            throw refusal("The token is a logout token or another security event, and no access token.")
        }
        if isIdentity(claims) {
            throw refusal("The token is an ID token: it identifies a user to an application, and grants nothing.")
        }
    }

    private static func refusal(_ reason: String) -> TokenRefusal {
        TokenRefusal(.wrongKind, "\(reason) Send an access token.")
    }

    /// `typ` in lower case, without the optional `application/` (RFC 8725 section 3.11).
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

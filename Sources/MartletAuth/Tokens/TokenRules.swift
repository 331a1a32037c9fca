// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletHTTP
import MartletSupport

/// What a token whose signature is good must say, to be believed here.
struct TokenRules: Sendable {
    var audience = ClaimRule.any
    var issuer = ClaimRule.any
    /// In seconds: how long a token is valid before `nbf` and after `exp`.
    var leeway: TimeInterval = 0

    /// - Throws: ``TokenRefusal`` of the first rule that the token breaks.
    func check(_ token: CompactToken, at now: Date) throws(TokenRefusal) -> VerifiedToken {
        let claims = try token.claims()
        try TokenKind.check(type: token.header.type, claims: claims)
        try checkIssuer(claims)
        try checkAudience(claims)
        return try VerifiedToken(claims, at: now, leeway: leeway)
    }

    private func checkIssuer(_ claims: JSONValue) throws(TokenRefusal) {
        guard issuer != .any else { return }
        guard let claim = claims["iss"], !claim.isNull else {
            throw TokenRefusal(
                .wrongIssuer, "The token does not say who made it: it has no claim iss, and one is needed here.")
        }
        guard let name = claim.stringValue else {
            throw TokenRefusal(.claimMalformed, "The claim iss of the token is \(claim.kind), not a string.")
        }
        guard issuer.allows([name]) else {
            throw TokenRefusal(
                .wrongIssuer, "The claim iss of the token names an issuer whose tokens are not taken here.")
        }
    }

    private func checkAudience(_ claims: JSONValue) throws(TokenRefusal) {
        guard audience != .any else { return }
        guard let claim = claims["aud"], !claim.isNull else {
            throw TokenRefusal(
                .wrongAudience, "The token does not say for whom it is: it has no claim aud, and one is needed here.")
        }
        guard let names = claims.audiences else {
            throw TokenRefusal(
                .claimMalformed, "The claim aud of the token must be a string or an array of strings.")
        }
        guard audience.allows(names) else {
            throw TokenRefusal(
                .wrongAudience,
                "The token is for somebody else: its claim aud has no audience that is taken here. Get one for this hub."
            )
        }
    }
}

extension JSONValue {
    /// The claim `aud` (RFC 7519 section 4.1.3); `nil` where it is missing or malformed.
    var audiences: [String]? {
        guard let claim = self["aud"] else { return nil }
        return claim.stringValue.map { [$0] } ?? claim.strings
    }
}

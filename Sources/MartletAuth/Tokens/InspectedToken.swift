// SPDX-License-Identifier: Apache-2.0

package import Foundation
package import MartletHTTP

/// The content of a token that may not be valid, and the reason why a hub would refuse it.
package struct InspectedToken: Sendable {
    /// `nil` if the header cannot be read.
    package private(set) var algorithm: TokenAlgorithm?
    /// `kid`: the name of the key.
    package private(set) var keyID: String?
    /// The claims: an object; empty if they cannot be read.
    package private(set) var claims = JSONValue.object([:])
    /// The claim `mercure`; `nil` if it is missing or malformed.
    package private(set) var mercure: MercureClaim?
    /// The first reason to refuse the token; `nil` if there is none.
    package private(set) var refusal: TokenRefusal?

    /// - Parameters:
    ///   - keys: `nil`: the signature is not checked.
    ///   - audience: The audiences that the hub accepts.
    ///   - issuer: The issuers that the hub accepts.
    ///   - now: The time of day.
    package init(
        _ token: String, keys: TokenKeys?, audience: ClaimRule = .any, issuer: ClaimRule = .any, now: Date
    ) async throws {
        do {
            let compact = try CompactToken(token, allowing: Set(TokenAlgorithm.allCases))
            algorithm = compact.header.algorithm
            keyID = compact.header.keyID
            claims = try compact.claims()
            mercure = try? MercureClaim(in: claims)
            if let keys {
                _ = try await TokenVerifier(keys: keys, audience: audience, issuer: issuer) { now }.verify(token)
            } else {
                _ = try TokenRules(audience: audience, issuer: issuer).check(compact.header, claims, at: now)
            }
        } catch let error as TokenRefusal {
            refusal = error
        }
    }

    /// `sub`, if it is a string.
    package var subject: String? { claims["sub"]?.stringValue }

    /// `iss`, if it is a string.
    package var issuer: String? { claims["iss"]?.stringValue }

    /// `aud`, if it is a string or an array of strings.
    package var audiences: [String]? { claims.audiences }

    /// `exp`, if it is a number.
    package var expiry: Date? { (try? VerifiedToken.date("exp", in: claims)) ?? nil }
    /// `nbf`, if it is a number.
    package var start: Date? { (try? VerifiedToken.date("nbf", in: claims)) ?? nil }
}

// SPDX-License-Identifier: Apache-2.0

package import Foundation
package import MartletHTTP

/// What is in a token, believed or not, and why a hub would refuse it.
package struct InspectedToken: Sendable {
    /// How it is signed; `nil` where it cannot be read.
    package private(set) var algorithm: TokenAlgorithm?
    /// `kid`: the name of the key.
    package private(set) var keyID: String?
    /// The claims: an object; empty where they cannot be read.
    package private(set) var claims = JSONValue.object([:])
    /// What the claim `mercure` says; `nil` where there is none, or it is malformed.
    package private(set) var mercure: MercureClaim?
    /// The first reason against it. `nil`: there is none, so far as the keys say.
    package private(set) var refusal: TokenRefusal?

    /// - Parameters:
    ///   - keys: `nil`: the signature is not checked.
    ///   - audience: Whom the hub takes tokens for.
    ///   - issuer: Whose tokens the hub takes.
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
                _ = try TokenRules(audience: audience, issuer: issuer).check(compact, at: now)
            }
        } catch let error as TokenRefusal {
            refusal = error
        }
    }

    /// `sub`, where it is a string.
    package var subject: String? { claims["sub"]?.stringValue }

    /// `iss`, where it is a string.
    package var issuer: String? { claims["iss"]?.stringValue }

    /// `aud`, where it is a string or an array of strings.
    package var audiences: [String]? { claims.audiences }

    /// `exp` and `nbf`, where they are numbers.
    package var expiry: Date? { (try? VerifiedToken.date("exp", in: claims)) ?? nil }
    package var start: Date? { (try? VerifiedToken.date("nbf", in: claims)) ?? nil }
}

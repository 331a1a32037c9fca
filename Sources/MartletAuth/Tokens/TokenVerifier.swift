// SPDX-License-Identifier: Apache-2.0

import Crypto
public import Foundation
import MartletSupport

/// Verifies tokens.
public struct TokenVerifier: Sendable {
    /// The longest token that is accepted, in bytes.
    public static let maximumTokenBytes = 8192
    /// The default clock skew that is allowed for `exp` and `nbf`: none, as in Mercure hubs. Allow some seconds if tokens with
    /// `nbf` are used on another machine at once.
    public static let defaultLeeway = Duration.zero

    private let keys: TokenKeys
    private let rules: TokenRules
    private let now: @Sendable () -> Date
    private let signed = SignedTokens()

    /// - Parameters:
    ///   - keys: The keys and their algorithms.
    ///   - audience: The audiences of the tokens that are accepted (`aud`). Set it if the keys belong to an identity
    ///     provider: they sign tokens for all its applications, and ``ClaimRule/any`` accepts all of them.
    ///   - issuer: The issuers of the tokens that are accepted (`iss`).
    ///   - leeway: How long a token is valid before `nbf` and after `exp`.
    ///   - now: The time of day.
    public init(
        keys: TokenKeys, audience: ClaimRule, issuer: ClaimRule = .any,
        leeway: Duration = TokenVerifier.defaultLeeway,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.keys = keys
        rules = TokenRules(audience: audience, issuer: issuer, leeway: leeway / .seconds(1))
        self.now = now
    }

    /// Verifies a token and returns its claims.
    ///
    /// - Parameter token: A JWS in compact form, nothing before or after it.
    /// - Throws: ``TokenRefusal`` with the first reason to refuse it: its form, its algorithm, its key, its signature, its
    ///   kind, its issuer, its audience, its times, its other claims. ``KeysUnavailable`` if the key set cannot be fetched.
    public func verify(_ token: String) async throws -> VerifiedToken {
        if let verified = try verifyNow(token) { return verified }
        let compact = try CompactToken(token, allowing: keys.algorithms)
        return try verify(compact, SignedTokens.digest(of: token), with: await keys.keys(for: compact.header))
    }

    /// The same at once; `nil` if the keys have to be waited for.
    func verifyNow(_ token: String) throws -> VerifiedToken? {
        let digest = SignedTokens.digest(of: token)
        if let known = digest.flatMap(signed.find), let keys = try keys.keysNow(for: known.header),
            keys.contains(where: { $0 === known.key })
        {
            return try rules.check(known.header, known.claims, at: now())
        }
        let compact = try CompactToken(token, allowing: keys.algorithms)
        return try keys.keysNow(for: compact.header).map { try verify(compact, digest, with: $0) }
    }

    private func verify(
        _ token: CompactToken, _ digest: SHA256Digest?, with keys: [VerificationKey]
    ) throws(TokenRefusal) -> VerifiedToken {
        guard let key = keys.first(where: { $0.accepts(token.signature, of: token.signingInput) }) else {
            throw TokenRefusal(
                .badSignature,
                "The signature of the token is not of the key that is configured, or the token was changed.")
        }
        let claims = try token.claims()
        if let digest {
            signed.store(SignedTokens.Content(key: key, header: token.header, claims: claims), for: digest)
        }
        return try rules.check(token.header, claims, at: now())
    }
}

/// The values that a claim of a token may have.
public enum ClaimRule: Hashable, Sendable {
    /// Any value; the claim may also be missing.
    case any
    /// One of these values, byte for byte. A token without the claim is refused.
    case oneOf([String])

    /// Whether one of the values of a token is allowed.
    func allows(_ values: [String]) -> Bool {
        guard case .oneOf(let allowed) = self else { return true }
        return values.contains { value in allowed.contains { $0.isExactly(value) } }
    }
}

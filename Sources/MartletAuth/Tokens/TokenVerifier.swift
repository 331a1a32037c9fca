// SPDX-License-Identifier: Apache-2.0

public import Foundation

/// Tells tokens that are to be believed from others.
public struct TokenVerifier: Sendable {
    /// The longest token.
    public static let maximumTokenBytes = 8192
    /// How far a clock may be off that wrote `exp` or `nbf`, by default: not at all, as Mercure hubs do. Where a token is
    /// used within the second in which it was made, with `nbf`, on another machine, some seconds are of use.
    public static let defaultLeeway = Duration.zero

    private let keys: TokenKeys
    private let rules: TokenRules
    private let now: @Sendable () -> Date

    /// - Parameters:
    ///   - keys: The keys, which also say how tokens may be signed.
    ///   - audience: Whom tokens must be for (`aud`). With the keys of an identity provider say it: they sign tokens for all
    ///     its applications, and with ``ClaimRule/any`` a token for any of them is believed here.
    ///   - issuer: Who must have made them (`iss`).
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

    /// What the token says.
    ///
    /// - Parameter token: A JWS in compact form, nothing before or after it.
    /// - Throws: ``TokenRefusal`` with the first reason why it is not believed: its form, its algorithm, its key, its
    ///   signature, its kind, its issuer, its audience, its times, its other claims. ``KeysUnavailable`` where that cannot
    ///   be known now.
    public func verify(_ token: String) async throws -> VerifiedToken {
        let token = try CompactToken(token, allowing: keys.algorithms)
        let candidates = try await keys.keys(for: token.header)
        guard candidates.contains(where: { $0.accepts(token.signature, of: token.signingInput) }) else {
            throw TokenRefusal(
                .badSignature,
                "The signature of the token is not by the key that is configured, or the token was changed.")
        }
        return try rules.check(token, at: now())
    }
}

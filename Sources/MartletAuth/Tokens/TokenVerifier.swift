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
    private let leeway: TimeInterval
    private let now: @Sendable () -> Date

    /// - Parameters:
    ///   - keys: The keys, which also say how tokens may be signed.
    ///   - leeway: How long a token is valid before `nbf` and after `exp`.
    ///   - now: The time of day.
    public init(
        keys: TokenKeys, leeway: Duration = TokenVerifier.defaultLeeway,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.keys = keys
        self.leeway = leeway / .seconds(1)
        self.now = now
    }

    /// What the token says.
    ///
    /// - Parameter token: A JWS in compact form, nothing before or after it.
    /// - Throws: ``TokenRefusal`` with the first reason why it is not believed: its form, its algorithm, its key, its
    ///   signature, its times, its claims. ``KeysUnavailable`` where that cannot be known now.
    public func verify(_ token: String) async throws -> VerifiedToken {
        let token = try CompactToken(token, allowing: keys.algorithms)
        let candidates = try await keys.keys(for: token.header)
        guard candidates.contains(where: { $0.accepts(token.signature, of: token.signingInput) }) else {
            throw TokenRefusal(
                .badSignature,
                "The signature of the token is not by the key that is configured, or the token was changed.")
        }
        return try VerifiedToken(try token.claims(), at: now(), leeway: leeway)
    }
}

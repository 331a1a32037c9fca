// SPDX-License-Identifier: Apache-2.0

public import Foundation
public import MartletHTTP

/// What a token says whose signature and times are good.
public struct VerifiedToken: Hashable, Sendable {
    /// `sub`: who it is.
    public var subject: String?
    /// When it stops being valid, with the leeway. `nil`: it does not.
    public var expiry: Date?
    /// `nil`: the token has no such claim.
    public var mercure: MercureClaim?
    /// All claims: an object.
    public var claims: JSONValue

    public init(
        subject: String? = nil, expiry: Date? = nil, mercure: MercureClaim? = nil, claims: JSONValue = .object([:])
    ) {
        self.subject = subject
        self.expiry = expiry
        self.mercure = mercure
        self.claims = claims
    }

    /// - Throws: ``TokenRefusal``: expired, not valid yet, or a claim malformed.
    init(_ claims: JSONValue, at now: Date, leeway: TimeInterval) throws(TokenRefusal) {
        if let expiry = try Self.date("exp", in: claims)?.addingTimeInterval(leeway) {
            guard now < expiry else {
                throw TokenRefusal(.expired, "The token expired at \(expiry.timeText). Get a new one.")
            }
            self.expiry = expiry
        }
        if let start = try Self.date("nbf", in: claims)?.addingTimeInterval(-leeway), now < start {
            throw TokenRefusal(
                .notYetValid,
                "The token is not valid before \(start.timeText), and it is \(now.timeText) here. Check the clocks.")
        }
        if let subject = claims["sub"], !subject.isNull {
            guard let subject = subject.stringValue else {
                throw TokenRefusal(.claimMalformed, "The claim sub of the token is \(subject.kind), not a string.")
            }
            self.subject = subject
        }
        mercure = try MercureClaim(in: claims)
        self.claims = claims
    }

    /// A claim that is a number of seconds since 1970 (RFC 7519 section 2), at most the year 9999.
    static func date(_ name: String, in claims: JSONValue) throws(TokenRefusal) -> Date? {
        guard let value = claims[name], !value.isNull else { return nil }
        guard let seconds = value.doubleValue else {
            throw TokenRefusal(
                .claimMalformed, "The claim \(name) of the token is \(value.kind), not a number of seconds since 1970.")
        }
        return Date(timeIntervalSince1970: max(0, min(seconds, 253_402_300_799)))
    }
}

extension Date {
    /// "2026-11-24T15:22:46Z".
    package var timeText: String { formatted(.iso8601) }
}

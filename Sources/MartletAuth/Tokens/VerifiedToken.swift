// SPDX-License-Identifier: Apache-2.0

public import Foundation
public import MartletHTTP

/// The claims of a token that was verified.
public struct VerifiedToken: Hashable, Sendable {
    /// `sub`: the principal.
    public var subject: String?
    /// When the token expires, with the leeway; `nil`: never.
    public var expiry: Date?
    /// The claim `mercure`; `nil` if the token has none.
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

/// The claim `mercure` of a token (draft-dunglas-mercure-07, section "Authorization").
public struct MercureClaim: Hashable, Sendable {
    /// The selectors of the topics that the client may publish to; `nil`: none.
    public var publish: [String]?
    /// The selectors of the topics whose private updates the client receives.
    public var subscribe: [String]?
    /// Describes the subscriber to others.
    public var payload: JSONValue?

    public init(publish: [String]? = nil, subscribe: [String]? = nil, payload: JSONValue? = nil) {
        self.publish = publish
        self.subscribe = subscribe
        self.payload = payload
    }

    /// The names of the claim. If a token has both, the second counts.
    static let names = ["mercure", "https://mercure.rocks/"]

    /// `nil` if the token has no such claim.
    ///
    /// - Throws: ``TokenRefusal`` of code `claimMalformed`.
    init?(in claims: JSONValue) throws(TokenRefusal) {
        let found = Self.names.reversed().lazy.compactMap { name in claims[name].map { (name, $0) } }
        guard let (name, claim) = found.first(where: { !$0.1.isNull }) else { return nil }
        guard case .object = claim else {
            throw TokenRefusal(
                .claimMalformed, "The claim \(name) of the token is \(claim.kind); it must be an object.")
        }
        publish = try Self.selectors(claim["publish"], of: "\(name).publish")
        subscribe = try Self.selectors(claim["subscribe"], of: "\(name).subscribe")
        payload = claim["payload"].flatMap { $0.isNull ? nil : $0 }
    }

    private static func selectors(_ value: JSONValue?, of name: String) throws(TokenRefusal) -> [String]? {
        guard let value, !value.isNull else { return nil }
        guard let selectors = value.strings else {
            throw TokenRefusal(.claimMalformed, "The claim \(name) of the token must be an array of strings.")
        }
        return selectors
    }
}

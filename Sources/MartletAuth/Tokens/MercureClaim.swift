// SPDX-License-Identifier: Apache-2.0

public import MartletHTTP

/// What the claim `mercure` of a token grants (draft-dunglas-mercure-07, section "Authorization").
public struct MercureClaim: Hashable, Sendable {
    /// The selectors of the topics that may be published to. `nil`: none, not even public ones.
    public var publish: [String]?
    /// The selectors of the topics whose private updates are received.
    public var subscribe: [String]?
    /// What others are told of the subscriber.
    public var payload: JSONValue?

    public init(publish: [String]? = nil, subscribe: [String]? = nil, payload: JSONValue? = nil) {
        self.publish = publish
        self.subscribe = subscribe
        self.payload = payload
    }

    /// The names of the claim. Where a token has both, the second is the one that counts.
    static let names = ["mercure", "https://mercure.rocks/"]

    /// The claim in the claims of a token; `nil` where it has none.
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

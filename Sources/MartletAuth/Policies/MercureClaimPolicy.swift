// SPDX-License-Identifier: Apache-2.0

import Martlet
public import MartletHTTP

/// Grants the rights in the claim `mercure` of a token (draft-dunglas-mercure-07, section "Authorization").
///
/// Every subscriber receives public events; the claim adds the topics whose private events it receives.
public struct MercureClaimPolicy: ImmediatePolicy {
    private let allowsAnonymous: Bool

    /// - Parameter allowsAnonymous: Whether clients without a token may subscribe.
    public init(allowsAnonymous: Bool) { self.allowsAnonymous = allowsAnonymous }

    /// - Throws: ``/MartletHTTP/Problem`` of status 401 if a token is needed and missing, or does not grant to publish.
    public func grant(to principal: VerifiedToken?, for purpose: AccessPurpose) throws(Problem) -> Grant {
        guard let principal else {
            guard purpose == .subscribe, allowsAnonymous else { throw TokenRefusal.missing(for: purpose).problem }
            return Grant(seesAllPublic: true)
        }
        var grant = Grant(principal: principal.subject, seesAllPublic: true, end: principal.expiry)
        grant.payload = principal.mercure?.payload?.text
        grant.subscribe = Set((principal.mercure?.subscribe ?? []).map { TopicSelector($0) })
        if purpose == .publish {
            guard let selectors = principal.mercure?.publish else {
                throw TokenRefusal(
                    .claimMissing,
                    "The token does not grant publishing: it has no array mercure.publish. Grant topics or * there."
                ).problem
            }
            grant.publish = Set(selectors.map { TopicSelector($0) })
        }
        return grant
    }
}

extension TokenRefusal {
    static func missing(for purpose: AccessPurpose) -> TokenRefusal {
        let verb = purpose == .subscribe ? "Subscribing" : "Publishing"
        return TokenRefusal(
            .missing, "\(verb) needs a token. Send the header Authorization: Bearer, a space, the token.",
            field: "Authorization")
    }
}

// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import MartletHTTP
import Testing

@testable import MartletAuth

@Suite struct MercureClaimPolicyTests {
    private let token = VerifiedToken(
        subject: "alice", expiry: testTime,
        mercure: MercureClaim(publish: ["a", "b/{c}"], subscribe: ["*"], payload: .object(["x": .number("1.0")])))

    @Test("A subscriber sees what is public, and private events as the claim says")
    func subscriberSeesWhatIsPublic() throws {
        let grant = try MercureClaimPolicy(allowsAnonymous: false).grant(to: token, for: .subscribe)
        #expect(
            grant
                == Grant(
                    principal: "alice", subscribe: [.every], seesAllPublic: true, end: testTime, payload: #"{"x":1.0}"#)
        )
    }

    @Test("A token without the claim sees what is public")
    func tokenWithoutTheClaimSees() throws {
        let grant = try MercureClaimPolicy(allowsAnonymous: false).grant(to: VerifiedToken(), for: .subscribe)
        #expect(grant == Grant(seesAllPublic: true))
    }

    @Test("A client without a token subscribes only if that is allowed")
    func somebodyWithoutATokenSubscribes() async throws {
        #expect(
            try MercureClaimPolicy(allowsAnonymous: true).grant(to: nil, for: .subscribe) == Grant(seesAllPublic: true))
        let problem = try await problem {
            try MercureClaimPolicy(allowsAnonymous: false).grant(to: nil, for: .subscribe)
        }
        #expect(problem?.status == .unauthorized)
        #expect(problem?.headers[.wwwAuthenticate] == "Bearer")
    }

    @Test("A publisher may what the claim says")
    func publisherMayWhatTheClaim() throws {
        let grant = try MercureClaimPolicy(allowsAnonymous: false).grant(to: token, for: .publish)
        #expect(grant.publish == [TopicSelector("a"), TopicSelector("b/{c}")])
        #expect(grant.end == testTime)
        let none = VerifiedToken(mercure: MercureClaim(publish: []))
        #expect(try MercureClaimPolicy(allowsAnonymous: false).grant(to: none, for: .publish).publish.isEmpty)
    }

    @Test("Without a token or the claim, no client publishes")
    func withoutAToken() async throws {
        let policy = MercureClaimPolicy(allowsAnonymous: true)
        let missing = try await problem { try policy.grant(to: nil, for: .publish) }
        #expect(missing?.status == .unauthorized)
        #expect(missing?.headers[.wwwAuthenticate] == "Bearer")
        for claim in [nil, MercureClaim(), MercureClaim(subscribe: ["*"])] {
            let problem = try await problem { try policy.grant(to: VerifiedToken(mercure: claim), for: .publish) }
            #expect(problem?.status == .unauthorized)
            #expect(problem?.detail.contains("mercure.publish") == true)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import MartletHTTP
import Testing

@testable import MartletAuth

@Suite struct RolePolicyTests {
    private static let table = """
        {
          "claim": "roles",
          "roles": {
            "support": {"subscribe": ["tickets/{id}"], "publish": ["tickets/{id}"]},
            "admin": {"subscribe": ["*"], "publish": ["*"]}
          },
          "everybody": {"subscribe": ["users/${sub}", "users/${sub}/{list}"], "publish": ["users/${sub}/out"]},
          "anonymous": {"subscribe": ["news"]}
        }
        """

    private func policy(_ text: String = table) throws -> RolePolicy { try RolePolicy(json: text.utf8) }

    private func principal(_ claims: String) throws -> VerifiedToken {
        let claims = try json(claims)
        return VerifiedToken(subject: claims["sub"]?.stringValue, expiry: testTime, claims: claims)
    }

    private func subscribe(_ claims: String, _ text: String = table) throws -> Set<String> {
        Set(try policy(text).grant(to: try principal(claims), for: .subscribe).subscribe.map(\.text))
    }

    @Test("A role grants the rights in the table, in addition to those of every client")
    func roleGrantsWhatTheTable() throws {
        let grant = try policy().grant(to: principal(#"{"sub":"alice","roles":["support","cook"]}"#), for: .publish)
        #expect(grant.principal == "alice")
        #expect(grant.end == testTime)
        #expect(!grant.seesAllPublic)
        #expect(Set(grant.publish.map(\.text)) == ["tickets/{id}", "users/alice/out"])
        #expect(Set(grant.subscribe.map(\.text)) == ["tickets/{id}", "users/alice", "users/alice/{list}"])
        let ticket: Topic = "tickets/7"
        #expect(grant.publish.contains { $0.matches(ticket) })
        let reader = try policy().grant(to: principal(#"{"sub":"alice","roles":["support"]}"#), for: .subscribe)
        #expect(reader.publish.isEmpty)
    }

    @Test(
        "Roles are an array, or a string with spaces",
        arguments: [
            #""support admin""#, #"["support","admin"]"#, #"["admin","admin"]"#,
        ])
    func rolesAreAnArray(roles: String) throws {
        #expect(try subscribe(#"{"roles":\#(roles)}"#).contains("*"))
    }

    @Test("Invalid roles are no roles", arguments: ["7", "null", "{}", "[7]", #"["admin",7]"#, #""ad""#, #""""#])
    func whatAreNoRoles(roles: String) throws {
        #expect(try subscribe(#"{"roles":\#(roles)}"#) == [])
    }

    @Test("A claim may be in another one, or have a dot in its name")
    func claimMayBeInAnother() throws {
        let nested = #"{"claim":"realm_access.roles","roles":{"a":{"subscribe":["x"]}}}"#
        #expect(try subscribe(#"{"realm_access":{"roles":["a"]}}"#, nested) == ["x"])
        #expect(try subscribe(#"{"realm_access.roles":["a"]}"#, nested) == ["x"])
        #expect(try subscribe(#"{"realm_access":7}"#, nested) == [])
        let dotted = #"{"claim":"https://app.example/roles","roles":{"a":{"subscribe":["x"]}}}"#
        #expect(try subscribe(#"{"https://app.example/roles":"a"}"#, dotted) == ["x"])
    }

    @Test(
        "Claims of a token make no selector that the table does not mean",
        arguments: [
            "*", "{id}", "{", "a/b", "../b", "a?b", "a#b", "", "\\n", "a\\u0000", "a*", "{+any}", "%2F{x}",
        ])
    func whatATokenSaysMakes(subject: String) throws {
        #expect(try subscribe(#"{"sub":"\#(subject)"}"#) == [])
    }

    @Test("Claims of a token are text, even if they look like templates")
    func whatATokenSays() throws {
        #expect(try subscribe(#"{"sub":"auth0|7 é$%"}"#).contains("users/auth0|7 é$%"))
        let every = #"{"everybody":{"subscribe":["${sub}"]}}"#
        let policy = try policy(every)
        let grant = try policy.grant(to: principal(#"{"sub":"$"}"#), for: .subscribe)
        #expect(grant.subscribe.map(\.exactTopic?.name) == ["$"])
        #expect(try subscribe(#"{"sub":"${sub}"}"#, every) == [])
        #expect(try subscribe(#"{"n":42}"#, #"{"everybody":{"subscribe":["u/${n}"]}}"#) == ["u/42"])
        #expect(try subscribe(#"{"n":true}"#, #"{"everybody":{"subscribe":["u/${n}"]}}"#) == [])
        #expect(try subscribe(#"{}"#, #"{"everybody":{"subscribe":["u/${n}"]}}"#) == [])
    }

    @Test("A value that no template can have grants nothing")
    func valueThatNoTemplateCan() throws {
        let template = #"{"everybody":{"subscribe":["users/${sub}/{list}"]}}"#
        #expect(try subscribe(#"{"sub":"a b"}"#, template).allSatisfy { TopicSelector($0).exactTopic == nil })
        #expect(try subscribe(#"{"sub":"%zz"}"#, template).allSatisfy { TopicSelector($0).exactTopic == nil })
    }

    @Test("A client without a token has the rights in the table, and never publishes")
    func somebodyWithoutATokenMay() async throws {
        let grant = try policy().grant(to: nil, for: .subscribe)
        #expect(grant == Grant(subscribe: [TopicSelector("news")]))
        #expect(try await problem { try policy().grant(to: nil, for: .publish) }?.status == .unauthorized)
        #expect(try await problem { try policy("{}").grant(to: nil, for: .subscribe) }?.status == .unauthorized)
    }

    @Test("Public events are visible if the table says so")
    func whatIsPublicIsSeen() throws {
        let policy = try policy(#"{"public":true,"anonymous":{}}"#)
        #expect(try policy.grant(to: nil, for: .subscribe) == Grant(seesAllPublic: true))
        #expect(try policy.grant(to: VerifiedToken(), for: .subscribe).seesAllPublic)
    }

    @Test(
        "A malformed table is refused with the path of what is wrong",
        arguments: [
            ("", "$"), ("[]", "$"), (#"{"claims":"roles"}"#, "$.claims"), (#"{"claim":7}"#, "$.claim"),
            (#"{"claim":""}"#, "$.claim"), (#"{"public":"yes"}"#, "$.public"), (#"{"roles":[]}"#, "$.roles"),
            (#"{"roles":{"a":[]}}"#, "$.roles.a"), (#"{"roles":{"a":{"subscrib":[]}}}"#, "$.roles.a.subscrib"),
            (#"{"roles":{"a":{"publish":"*"}}}"#, "$.roles.a.publish"),
            (#"{"roles":{"a":{"publish":["*",7]}}}"#, "$.roles.a.publish"),
            (#"{"roles":{"a":{"publish":["ok","orders/*"]}}}"#, "$.roles.a.publish[1]"),
            (#"{"everybody":{"subscribe":["orders/{id"]}}"#, "$.everybody.subscribe[0]"),
            (#"{"everybody":{"subscribe":["users/${sub"]}}"#, "$.everybody.subscribe[0]"),
            (#"{"everybody":{"subscribe":["users/${}"]}}"#, "$.everybody.subscribe[0]"),
            (#"{"everybody":{"subscribe":[""]}}"#, "$.everybody.subscribe[0]"),
            (#"{"everybody":{"subscribe":["a\n"]}}"#, "$.everybody.subscribe[0]"),
            (#"{"anonymous":{"publish":[]}}"#, "$.anonymous.publish"),
        ])
    func malformedTableIsRefused(text: String, path: String) {
        let error = #expect(throws: PolicyError.self) { try policy(text) }
        #expect(error?.path == path)
    }

    @Test("A table has 10000 selectors at most")
    func tableHas10000Selectors() throws {
        func text(_ count: Int) -> String {
            let list = (0..<count).map { "\"t\($0)\"" }.joined(separator: ",")
            return #"{"everybody":{"subscribe":[\#(list)]}}"#
        }
        _ = try policy(text(RolePolicy.maximumSelectors))
        #expect(throws: PolicyError.self) { try policy(text(RolePolicy.maximumSelectors + 1)) }
    }
}

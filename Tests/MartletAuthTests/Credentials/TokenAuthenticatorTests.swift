// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import MartletHTTP
import Testing

@testable import MartletAuth

@Suite struct TokenAuthenticatorTests {
    private func authenticator(
        _ rules: CredentialRules = CredentialRules(), publisher: TokenVerifier? = nil
    ) async throws -> TokenAuthenticator {
        TokenAuthenticator(subscriber: try await verifier(), publisher: publisher, rules: rules)
    }

    @Test("A token is in the header Authorization", arguments: ["Bearer ", "bearer ", "BEARER   "])
    func tokenIsInTheHeader(scheme: String) async throws {
        let request = request(.get, "/", [(.authorization, scheme + (try await token(#"{"sub":"alice"}"#)))])
        #expect(try await authenticator().principal(of: request, to: .subscribe)?.subject == "alice")
    }

    @Test(
        "Another header Authorization is refused",
        arguments: ["", "Bearer", "Bearer ", "Basic YTpi", "Bearertoken", "e30.e30.e30", "Token x", ", Bearer x"])
    func anotherHeaderAuthorizationIsRefused(value: String) async throws {
        let problem = try await problem {
            try await authenticator().principal(of: request(.get, "/", [(.authorization, value)]), to: .subscribe)
        }
        #expect(problem?.status == .unauthorized)
        #expect(problem?.field == "Authorization")
        #expect(problem?.headers[.wwwAuthenticate]?.hasPrefix("Bearer error=\"invalid_token\"") == true)
    }

    @Test("Two headers Authorization are refused, even if they are equal")
    func twoHeadersAuthorizationAreRefused() async throws {
        let value = "Bearer " + (try await token())
        let problem = try await problem {
            try await authenticator().principal(
                of: request(.get, "/", [(.authorization, value), (.authorization, value)]), to: .subscribe)
        }
        #expect(problem?.status == .unauthorized)
        #expect(problem?.headers[.wwwAuthenticate]?.contains("invalid_request") == true)
    }

    @Test("A request without credentials has no principal")
    func requestWithoutCredentialsIsNobody() async throws {
        #expect(try await authenticator().principal(of: request(), to: .subscribe) == nil)
        let other = request(.get, "/?authorization=x", [(.cookie, "other=1")])
        #expect(try await authenticator().principal(of: other, to: .subscribe) == nil)
    }

    @Test("Header, query and cookie come in this order, and the first is the only one")
    func headerQueryAndCookieCome() async throws {
        let rules = CredentialRules(acceptsQueryParameter: true)
        let header = try await token(#"{"sub":"header"}"#)
        let query = try await token(#"{"sub":"query"}"#)
        let cookie = try await token(#"{"sub":"cookie"}"#)
        func subject(_ target: String, _ headers: [(HTTPField.Name, String)]) async throws -> String? {
            try await authenticator(rules).principal(of: request(.get, target, headers), to: .subscribe)?.subject
        }
        let inCookie = (HTTPField.Name.cookie, "a=b; mercureAuthorization=\(cookie)")
        #expect(
            try await subject("/?authorization=\(query)", [(.authorization, "Bearer \(header)"), inCookie]) == "header")
        #expect(try await subject("/?topic=a&authorization=\(query)", [inCookie]) == "query")
        #expect(try await subject("/?topic=a", [inCookie]) == "cookie")
        let bad = try await problem { try await subject("/?authorization=bad", [inCookie]) }
        #expect(bad?.field == "authorization")
        let worse = try await problem { try await subject("/", [(.authorization, "Bearer bad"), inCookie]) }
        #expect(worse?.field == "Authorization")
    }

    @Test(
        "The query has one token that is not empty",
        arguments: ["authorization=", "authorization", "authorization=a&authorization=a", "%61uthorization="])
    func queryHasOneToken(query: String) async throws {
        let problem = try await problem {
            try await authenticator(CredentialRules(acceptsQueryParameter: true))
                .principal(of: request(.get, "/?\(query)"), to: .subscribe)
        }
        #expect(problem?.status == .unauthorized)
        #expect(problem?.field == "authorization")
    }

    @Test("The cookie has the name that is configured, or none")
    func cookieHasTheName() async throws {
        let cookie = (HTTPField.Name.cookie, "hub=\"\(try await token(#"{"sub":"alice"}"#))\"")
        let request = request(.get, "/", [cookie])
        #expect(
            try await authenticator(CredentialRules(cookieName: "hub")).principal(of: request, to: .subscribe)?.subject
                == "alice")
        #expect(try await authenticator().principal(of: request, to: .subscribe) == nil)
        #expect(
            try await authenticator(CredentialRules(cookieName: nil)).principal(of: request, to: .subscribe) == nil)
    }

    @Test("A principal that is known at once is the one that is waited for, and so is a refusal")
    func principalThatIsKnownAtOnce() async throws {
        let rules = CredentialRules(acceptsQueryParameter: true)
        let good = try await token(#"{"sub":"alice","exp":1767323046}"#)
        let old = try await token(#"{"sub":"alice","exp":1767323045}"#)
        let other = try await token(#"{"sub":"alice"}"#, .hs512)
        for (number, token) in [good, old, other, good + "A", "bad", ""].enumerated() {
            for purpose in AccessPurpose.allCases {
                let authenticator = try await authenticator(
                    rules, publisher: number % 2 == 0 ? try await verifier() : nil)
                for request in [
                    request(.get, "/?authorization=\(token)"),
                    request(.post, "/", [(.authorization, "Bearer \(token)")]),
                    request(.post, "/", [(.cookie, "mercureAuthorization=\(token)")]), request(),
                ] {
                    let now = Result { try authenticator.principalNow(of: request, to: purpose) }
                    do {
                        let later = try await authenticator.principal(of: request, to: purpose)
                        guard case .success(.known(later)) = now else {
                            Issue.record("\(now)")
                            continue
                        }
                    } catch {
                        let refusal = #expect(throws: Problem.self) { try now.get() }
                        #expect(refusal?.detail == error.detail && refusal?.field == error.field)
                        #expect(refusal?.status == error.status && refusal?.headers == error.headers)
                    }
                }
            }
        }
    }

    @Test("A bad token is refused, though none would be needed")
    func badTokenIsRefusedThough() async throws {
        for (field, name) in [(HTTPField.Name.authorization, "Bearer bad"), (.cookie, "mercureAuthorization=bad")] {
            let problem = try await problem {
                try await authenticator().principal(of: request(.get, "/", [(field, name)]), to: .subscribe)
            }
            #expect(problem?.status == .unauthorized)
            #expect(problem?.field == field.rawName)
        }
    }

    @Test(
        "With a cookie only pages that are allowed may publish",
        arguments: [
            // Origin, Referer, is allowed
            ("https://app.example", nil, true), (nil, "https://app.example/page?q", true),
            ("https://a.pages.example", nil, true), ("https://evil.example", nil, false),
            ("https://evil.example", "https://app.example/", false), (nil, nil, false), ("null", nil, false),
            ("", "https://app.example/", false), (nil, "/page", false),
            (nil, "https://app.example@evil.example/", false),
        ] as [(String?, String?, Bool)])
    func withACookieOnlyPages(
        origin: String?, referer: String?, isAllowed: Bool
    ) async throws {
        let rules = CredentialRules(
            publishOrigins: ["https://app.example", "https://*.pages.example"].compactMap { OriginPattern($0) })
        let authenticator = try await authenticator(rules, publisher: verifier())
        let token = try await token(#"{"sub":"alice"}"#)
        var headers = [(HTTPField.Name.cookie, "mercureAuthorization=\(token)")]
        if let origin { headers.append((.origin, origin)) }
        if let referer { headers.append((.referer, referer)) }
        let problem = try await problem {
            try await authenticator.principal(of: request(.post, "/", headers), to: .publish)
        }
        #expect((problem == nil) == isAllowed)
        if let problem {
            #expect(problem.status == .unauthorized)
            #expect(problem.field == "Origin")
            #expect(problem.headers[.wwwAuthenticate] == "Bearer")
        }
        let header = request(.post, "/", headers + [(.authorization, "Bearer \(token)")])
        #expect(try await authenticator.principal(of: header, to: .publish)?.subject == "alice")
        let get = request(.get, "/", headers)
        #expect(try await authenticator.principal(of: get, to: .subscribe)?.subject == "alice")
    }

    @Test("Publishers and subscribers have separate keys")
    func publishersAndSubscribersHaveKeys() async throws {
        let publisher = TokenVerifier(keys: try await TokenKeys(text: TestKeys.ecPublic), audience: .any)
        let authenticator = try await authenticator(publisher: publisher)
        let subscribes = request(.get, "/", [(.authorization, "Bearer \(try await token())")])
        _ = try await authenticator.principal(of: subscribes, to: .subscribe)
        let refused = try await problem { try await authenticator.principal(of: subscribes, to: .publish) }
        #expect(refused?.detail.contains("algorithm not allowed") == true)
    }

    @Test("Where there is no key for a purpose, it says so")
    func whereThereIsNoKey() async throws {
        let none = TokenAuthenticator(subscriber: nil, publisher: nil)
        #expect(try await none.principal(of: request(), to: .subscribe) == nil)
        let publish = try await problem { try await none.principal(of: request(.post), to: .publish) }
        #expect(publish?.status == .unauthorized)
        #expect(publish?.detail.contains("No key") == true)
        let token = request(.get, "/", [(.authorization, "Bearer x")])
        let subscribe = try await problem { try await none.principal(of: token, to: .subscribe) }
        #expect(subscribe?.status == .unauthorized)
        #expect(subscribe?.detail.contains("No key") == true)
    }

    @Test("While the keys cannot be had the answer is 503 and when to come back")
    func whileTheKeysCannot() async throws {
        struct Away: Error {}
        let keys = try TokenKeys(TokenAlgorithm.asymmetric, KeySetLimits(), ContinuousClock(), quiet) { throw Away() }
        let authenticator = TokenAuthenticator(subscriber: TokenVerifier(keys: keys, audience: .any), publisher: nil)
        let request = request(.get, "/", [(.authorization, "Bearer \(try await token("{}", .es256))")])
        let problem = try await problem { try await authenticator.principal(of: request, to: .subscribe) }
        #expect(problem?.status == .serviceUnavailable)
        #expect(problem?.headers[.retryAfter] == "1")
    }
}

// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletHTTP
import Testing

@testable import MartletAuth

@Suite struct TokenKindTests {
    private func code(type: String?, _ claims: String = "{}") throws -> TokenRefusal.Code? {
        do {
            try TokenKind.check(type: type, claims: json(claims))
            return nil
        } catch let error as TokenRefusal {
            return error.code
        }
    }

    @Test(
        "An access token says so, or nothing",
        arguments: [
            nil, "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt", "application/jwt",
            "JOSE",
            "", "access",
        ])
    func accessTokenSaysSo(type: String?) throws {
        #expect(try code(type: type) == nil)
    }

    @Test(
        "A token whose header names another kind is refused",
        arguments: [
            "logout+jwt", "Logout+JWT", "application/logout+jwt", "APPLICATION/LOGOUT+JWT", "secevent+jwt",
            "application/secevent+jwt", "dpop+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", "vc+sd-jwt",
            "application/application/at+jwt", "at+jwt ", "x-at+jwt", "at+jwt+x",
        ])
    func whatTheHeaderSays(type: String) async throws {
        #expect(try code(type: type) == .wrongKind)
        let header = #"{"alg":"HS256","typ":"\#(type)"}"#
        let signed = try await TokenSigner(text: TestKeys.secret).signed(header: header, claims: "{}")
        let refusal = try #require(try await refusal(of: signed, by: verifier()))
        #expect(refusal.code == .wrongKind)
        #expect(refusal.problem.status == .unauthorized)
        #expect(refusal.message.contains("access token"))
    }

    @Test("A typ that is no string is malformed")
    func typThatIsNoString() async throws {
        for type in ["7", "null", "[]"] {
            let token = token(header: #"{"alg":"HS256","typ":\#(type)}"#)
            #expect(try await refusal(of: token, by: verifier())?.code == .malformed)
        }
    }

    @Test(
        "ID tokens and security events are refused",
        arguments: [
            // Keycloak, Cognito, and what OpenID Connect has in ID tokens alone.
            #"{"typ":"ID","azp":"app","sid":"1","nonce":"n"}"#, #"{"typ":"Refresh"}"#, #"{"typ":"Offline"}"#,
            #"{"typ":"Logout"}"#, #"{"token_use":"id","cognito:username":"alice"}"#, #"{"at_hash":"x","aud":"app"}"#,
            #"{"c_hash":"x"}"#, #"{"s_hash":"x"}"#, #"{"nonce":"x","aud":"app","auth_time":1}"#,
            #"{"mercure":{"publish":["*"]},"nonce":"x"}"#,
            #"{"events":{"http://schemas.openid.net/event/backchannel-logout":{}},"sid":"1"}"#, #"{"events":{}}"#,
        ])
    func idTokensAndSecurityEvents(claims: String) async throws {
        for type in [nil, "JWT", "jwt"] { #expect(try code(type: type, claims) == .wrongKind) }
        #expect(try await refusal(of: token(claims), by: verifier())?.code == .wrongKind)
    }

    @Test(
        "Access tokens of the usual providers are taken",
        arguments: [
            // Keycloak before and since version 25, Auth0, Okta, Entra ID (v1, v2, for an application), Cognito, a service
            // account of Google, Firebase.
            #"{"typ":"Bearer","azp":"app","nonce":"n","sid":"1","session_state":"1","auth_time":1,"scope":"openid"}"#,
            #"{"typ":"Bearer","azp":"app","aud":"account","sid":"1","auth_time":1,"acr":"1","scope":"openid email"}"#,
            #"{"iss":"https://t.auth0.com/","aud":["https://hub","https://t.auth0.com/userinfo"],"azp":"a","scope":"openid"}"#,
            #"{"ver":1,"jti":"AT.1","aud":"api://default","cid":"0oa","uid":"00u","scp":["openid"],"auth_time":1}"#,
            #"{"ver":"1.0","appid":"1","idtyp":"user","scp":"x","name":"Alice","oid":"1","tid":"2","uti":"3"}"#,
            #"{"ver":"2.0","azp":"1","scp":"x","preferred_username":"a@example.com","oid":"1","sid":"2","email":"a"}"#,
            #"{"ver":"2.0","azp":"1","roles":["Publisher"],"oid":"1"}"#,
            #"{"token_use":"access","client_id":"1","username":"alice","scope":"openid","auth_time":1,"event_id":"1"}"#,
            #"{"azp":"1","email":"a@x.iam.gserviceaccount.com","email_verified":true,"aud":"https://hub"}"#,
            #"{"user_id":"1","auth_time":1,"firebase":{"sign_in_provider":"password"},"aud":"project"}"#,
            #"{"mercure":{"publish":["*"]}}"#, #"{"events":["a"]}"#, #"{"nonce":null,"at_hash":null}"#,
        ])
    func accessTokensOfTheUsual(claims: String) async throws {
        for type in [nil, "JWT", "at+jwt"] { #expect(try code(type: type, claims) == nil) }
        #expect(try await refusal(of: token(claims), by: verifier()) == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletAuth

@Suite struct TokenAudienceTests {
    private func verifier(audience: ClaimRule = .any, issuer: ClaimRule = .any) async throws -> TokenVerifier {
        let keys = try await TokenKeys(text: TestKeys.secret)
        return TokenVerifier(keys: keys, audience: audience, issuer: issuer) { testTime }
    }

    @Test(
        "A token is for an audience that is taken",
        arguments: [
            (#"{"aud":"hub"}"#, nil), (#"{"aud":["other","hub"]}"#, nil), (#"{"aud":"second hub"}"#, nil),
            (#"{"aud":["hub","second hub"]}"#, nil), (#"{"aud":"other"}"#, .wrongAudience),
            (#"{"aud":[]}"#, .wrongAudience), (#"{"aud":["other"]}"#, .wrongAudience), (#"{"aud":""}"#, .wrongAudience),
            (#"{"aud":"Hub"}"#, .wrongAudience), (#"{"aud":"hub/"}"#, .wrongAudience),
            (#"{"aud":"hub second hub"}"#, .wrongAudience),
            ("{}", .wrongAudience), (#"{"aud":null}"#, .wrongAudience), (#"{"azp":"hub"}"#, .wrongAudience),
            (#"{"aud":7}"#, .claimMalformed), (#"{"aud":["hub",7]}"#, .claimMalformed),
            (#"{"aud":{"hub":1}}"#, .claimMalformed), (#"{"aud":[["hub"]]}"#, .claimMalformed),
        ] as [(String, TokenRefusal.Code?)])
    func tokenIsForAnAudience(claims: String, code: TokenRefusal.Code?) async throws {
        let verifier = try await verifier(audience: .oneOf(["hub", "second hub"]))
        #expect(try await refusal(of: token(claims), by: verifier)?.code == code)
        let none = try await self.verifier(audience: .oneOf([]))
        #expect(try await refusal(of: token(claims), by: none) != nil)
        #expect(try await refusal(of: token(claims), by: self.verifier()) == nil)
    }

    @Test(
        "A token is by an issuer that is taken",
        arguments: [
            (#"{"iss":"https://login.example.com/"}"#, nil), (#"{"iss":"https://login.example.com"}"#, .wrongIssuer),
            (#"{"iss":"https://LOGIN.example.com/"}"#, .wrongIssuer), ("{}", .wrongIssuer),
            (#"{"iss":null}"#, .wrongIssuer), (#"{"iss":["https://login.example.com/"]}"#, .claimMalformed),
            (#"{"iss":7}"#, .claimMalformed),
        ] as [(String, TokenRefusal.Code?)])
    func tokenIsByAnIssuer(claims: String, code: TokenRefusal.Code?) async throws {
        let verifier = try await verifier(issuer: .oneOf(["https://login.example.com/"]))
        #expect(try await refusal(of: token(claims), by: verifier)?.code == code)
    }

    @Test("Names are compared byte for byte")
    func namesAreComparedByte() async throws {
        let composed = "caf\u{E9}"
        let verifier = try await verifier(audience: .oneOf([composed, "K"]), issuer: .oneOf([composed]))
        #expect(try await refusal(of: token(#"{"aud":"\#(composed)","iss":"\#(composed)"}"#), by: verifier) == nil)
        for (audience, issuer) in [("cafe\u{301}", composed), (composed, "cafe\u{301}"), ("\u{212A}", composed)] {
            #expect(try await refusal(of: token(#"{"aud":"\#(audience)","iss":"\#(issuer)"}"#), by: verifier) != nil)
        }
    }

    @Test("The reason says what is wrong and has nothing of the token")
    func reasonSaysWhatIsWrong() async throws {
        let verifier = try await verifier(audience: .oneOf(["hub"]), issuer: .oneOf(["me"]))
        for claims in [
            "{}", #"{"iss":"sesame"}"#, #"{"iss":{"sesame":1}}"#, #"{"iss":"me"}"#, #"{"iss":"me","aud":"sesame"}"#,
            #"{"iss":"me","aud":{"sesame":1}}"#,
        ] {
            let refusal = try #require(try await refusal(of: token(claims), by: verifier))
            #expect(refusal.message.contains("iss") || refusal.message.contains("aud"))
            #expect(!"\(refusal.problem)".contains("sesame"))
            #expect(refusal.message.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C })
        }
    }
}

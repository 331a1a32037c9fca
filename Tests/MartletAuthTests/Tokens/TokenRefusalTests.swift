// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletHTTP
import Testing

@testable import MartletAuth

@Suite struct TokenRefusalTests {
    @Test("A refusal says why, in the document and in the challenge")
    func refusalSaysWhy() async throws {
        let refusal = try #require(try await refusal(of: token(#"{"exp":1767323000}"#), by: verifier()))
        #expect(refusal.code == .expired)
        #expect(refusal.message == "The token expired at 2026-01-02T03:03:20Z. Get a new one.")
        let problem = refusal.problem
        #expect(problem.status == .unauthorized)
        #expect(problem.detail == refusal.message)
        #expect(
            problem.headers[.wwwAuthenticate]
                == #"Bearer error="invalid_token", error_description="\#(refusal.message)""#)
    }

    @Test("Every message fits into the challenge, and has nothing of the token")
    func everyMessageFitsInto() async throws {
        let tokens = [
            "", "a.b.c", "e30.e30.e30", String(repeating: "sesame", count: 2000), "e30.e30.e30.e30.e30",
            token(header: #"{"alg":"sesame\"\\é"}"#), token(header: #"{"alg":"HS256","crit":["sesame"]}"#),
            token(header: #"{"alg":"HS256","kid":["sesame"]}"#), token(header: #"{"sesame":"#),
            try await token(#"{"exp":1,"sub":"sesame"}"#), try await token(#"{"nbf":1e11,"sub":"sesame"}"#),
            try await token(#"{"exp":"sesame"}"#), try await token(#"{"sub":["sesame"]}"#),
            try await token(#"{"mercure":"sesame"}"#), try await token(#"{"mercure":{"publish":"sesame"}}"#),
            try await token(#"{"sub":"sesame"}"#).dropLast(4) + "AAAA", try await token("{}", .es256, keyID: "sesame"),
        ]
        for token in tokens {
            let refusal = try #require(try await refusal(of: String(token), by: verifier()))
            #expect(refusal.message.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C })
            #expect(!"\(refusal)".contains("sesame"))
            #expect(!"\(refusal.problem)".contains("sesame"))
            var dumped = ""
            dump(refusal, to: &dumped)
            #expect(!dumped.contains("sesame"))
        }
    }

    @Test("Nothing prints a key")
    func nothingPrintsAKey() async throws {
        var dumped = ""
        for algorithm in [TokenAlgorithm.hs256, .rs256, .eddsa] {
            let text = TestKeys.privateText(algorithm)
            dump(try await TokenSigner(text: text), to: &dumped)
            let keys = try await TokenKeys(text: text)
            dump(keys, to: &dumped)
            dump(TokenAuthenticator(subscriber: TokenVerifier(keys: keys, audience: .any), publisher: nil), to: &dumped)
            dump(HMACSecret(text.utf8), to: &dumped)
            dumped += "\(keys)\(HMACSecret(text.utf8))\(String(reflecting: keys))"
        }
        let secret = TestKeys.secret.prefix(10)
        #expect(!dumped.contains(secret))
        #expect(!dumped.contains(secret.utf8.prefix(4).map { "\($0)" }.joined(separator: ", ")))
        #expect(!dumped.lowercased().contains("backing"))
    }
}

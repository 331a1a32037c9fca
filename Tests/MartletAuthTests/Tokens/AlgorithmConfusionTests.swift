// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MartletSupport
import Testing

@testable import MartletAuth

@Suite struct AlgorithmConfusionTests {
    @Test(
        "No other algorithm is taken, least of all none",
        arguments: ["none", "None", "NONE", "", "hs256", "HS1", "RS256 ", "ES256K"])
    func noOtherAlgorithmIsTaken(name: String) async throws {
        for signature in [[], Array("x".utf8)] {
            let token = token(header: #"{"alg":"\#(name)"}"#, claims: #"{"sub":"root"}"#, signature: signature)
            let refusal = try await refusal(of: token, by: verifier())
            #expect(refusal?.code == .algorithmNotAllowed)
            #expect(refusal?.message.contains("algorithm not allowed") == true)
            #expect(refusal?.message.contains("HS256") == true)
        }
    }

    @Test("A token of any other algorithm than the configured one is refused", arguments: TokenAlgorithm.allCases)
    func tokenOfAnyOtherAlgorithm(pinned: TokenAlgorithm) async throws {
        let verifier = TokenVerifier(
            keys: try await TokenKeys(text: TestKeys.publicText(pinned), algorithm: pinned), audience: .any)
        for algorithm in TokenAlgorithm.allCases where algorithm != pinned {
            let refusal = try await refusal(of: token("{}", algorithm), by: verifier)
            #expect(refusal?.code == .algorithmNotAllowed)
        }
    }

    @Test("A public key is never a secret", arguments: [TokenAlgorithm.rs256, .es256, .eddsa])
    func publicKeyIsNever(pinned: TokenAlgorithm) async throws {
        let publicKey = TestKeys.publicText(pinned)
        let verifier = TokenVerifier(keys: try await TokenKeys(text: publicKey, algorithm: pinned), audience: .any)
        for header in [#"{"alg":"HS256"}"#, #"{"alg":"\#(pinned)"}"#] {
            let input = "\(Base64URL.encode(header.utf8)).\(Base64URL.encode(#"{"sub":"root"}"#.utf8))"
            for key in [publicKey, publicKey + "\n"] {
                let signature = HMAC<SHA256>.authenticationCode(
                    for: Data(input.utf8), using: SymmetricKey(data: Data(key.utf8)))
                let code = try await refusal(of: "\(input).\(Base64URL.encode(signature))", by: verifier)?.code
                #expect(code == .algorithmNotAllowed || code == .badSignature)
            }
        }
        for algorithm in HMACSecret.algorithms {
            let error = await #expect(throws: KeyError.self) {
                try await TokenKeys(text: publicKey, algorithm: algorithm)
            }
            #expect(error?.code == .wrongAlgorithm)
        }
    }

    @Test("A key that the token brings along is not used")
    func keyThatTheTokenBrings() async throws {
        let other = TestKeys.jwk(.es256, ["kid": "k"]).text
        let header = #"{"alg":"HS256","jwk":\#(other),"jku":"http://127.0.0.1:1/","x5c":["AAAA"]}"#
        #expect(try await refusal(of: token(header: header), by: verifier())?.code == .badSignature)
    }

    @Test("An empty signature is not one")
    func emptySignatureIsNotOne() async throws {
        for algorithm in TokenAlgorithm.allCases {
            let keys = try await TokenKeys(text: TestKeys.publicText(algorithm), algorithm: algorithm)
            for signature in [[], [0], [UInt8](repeating: 0, count: 64)] {
                let token = token(header: #"{"alg":"\#(algorithm)"}"#, signature: signature)
                #expect(
                    try await refusal(of: token, by: TokenVerifier(keys: keys, audience: .any))?.code == .badSignature)
            }
        }
    }
}

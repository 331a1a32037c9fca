// SPDX-License-Identifier: Apache-2.0

import MartletHTTP
import Testing

@testable import MartletAuth

@Suite struct KeySetTests {
    private func keys(_ text: String, allowing: Set<TokenAlgorithm> = TokenAlgorithm.asymmetric) async throws -> KeySet
    {
        try await KeySet(jwks: Array(text.utf8), allowing: allowing)
    }

    private func verifier(_ keys: KeySet, algorithms: Set<TokenAlgorithm> = TokenAlgorithm.asymmetric) throws
        -> TokenVerifier
    {
        TokenVerifier(
            keys: try TokenKeys(algorithms, KeySetLimits(), ContinuousClock(), quiet) { keys }, audience: .any)
    }

    @Test("A key of the set verifies every algorithm of its type", arguments: TokenAlgorithm.asymmetric)
    func keyOfTheSetVerifies(algorithm: TokenAlgorithm) async throws {
        let keys = try await keys(TestKeys.jwks(TestKeys.jwk(algorithm, ["kid": "one"])))
        let verifier = try verifier(keys)
        _ = try await verifier.verify(token("{}", algorithm, keyID: "one"))
        _ = try await verifier.verify(token("{}", algorithm))
        #expect(try await refusal(of: token("{}", algorithm, keyID: "two"), by: verifier)?.code == .unknownKey)
    }

    @Test("A key that names its algorithm is for no other")
    func keyThatNamesItsAlgorithm() async throws {
        let keys = try await keys(TestKeys.jwks(TestKeys.jwk(.rs256, ["kid": "one", "alg": "PS256"])))
        let verifier = try verifier(keys)
        _ = try await verifier.verify(token("{}", .ps256, keyID: "one"))
        #expect(try await refusal(of: token("{}", .rs256, keyID: "one"), by: verifier)?.code == .unknownKey)
    }

    @Test("Only the algorithms that are allowed are")
    func onlyTheAlgorithms() async throws {
        let text = TestKeys.jwks(TestKeys.jwk(.rs256), TestKeys.jwk(.es256))
        let verifier = try verifier(try await keys(text, allowing: [.es256]), algorithms: [.es256])
        _ = try await verifier.verify(token("{}", .es256))
        #expect(try await refusal(of: token("{}", .rs256), by: verifier)?.code == .algorithmNotAllowed)
    }

    @Test("A secret in a key set is not a key, nor can one be allowed")
    func secretInAKeySet() async throws {
        let text = TestKeys.jwks(TestKeys.jwk(.hs256, ["kid": "one"]), TestKeys.jwk(.es256, ["kid": "two"]))
        let verifier = try verifier(try await keys(text, allowing: Set(TokenAlgorithm.allCases)))
        #expect(
            try await refusal(of: token("{}", .hs256, keyID: "one"), by: verifier)?.code == .algorithmNotAllowed)
        #expect(throws: KeyError.self) {
            try TokenKeys(jwks: "https://keys.example/", algorithms: [.es256, .hs256], logger: quiet)
        }
        #expect(throws: KeyError.self) { try TokenKeys(jwksFile: "keys.json", algorithms: [], logger: quiet) }
    }

    @Test("Kinds that are not known are passed over")
    func kindsThatAreNotKnown() async throws {
        let strange: [JSONValue] = [
            .null, .string("x"), .object([:]), try json(#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#),
            try json(#"{"kty":"OKP","crv":"X25519","x":"AA"}"#),
            try json(#"{"kty":"AKP","alg":"ML-DSA-65","pub":"AA"}"#),
            try json(#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#), try json(#"{"kty":"RSA","n":7}"#),
            try json(#"{"kty":"EC","crv":"P-256","x":"!","y":"AA"}"#), try json(#"{"kty":"OKP","crv":"Ed25519"}"#),
            TestKeys.jwk(.es256, ["use": "enc", "kid": "enc"]), TestKeys.jwk(.rs256, ["alg": "RSA-OAEP"]),
        ]
        let text = JSONValue.object(["keys": .array(strange + [TestKeys.jwk(.eddsa, ["kid": "good", "use": "sig"])])])
        let verifier = try verifier(try await keys(text.text))
        _ = try await verifier.verify(token("{}", .eddsa, keyID: "good"))
        #expect(try await refusal(of: token("{}", .es256, keyID: "enc"), by: verifier)?.code == .unknownKey)
    }

    @Test(
        "A file that is not a key set is refused",
        arguments: [
            "", "{", "[]", "{}", #"{"keys":{}}"#, #"{"keys":[]}"#, #"{"keys":[{}]}"#, "<html>", #"{"keys":null}"#,
        ])
    func whatIsNoKeySet(text: String) async throws {
        let error = await #expect(throws: KeyError.self) { try await keys(text) }
        #expect(error?.code == .malformedSet)
    }

    @Test("A key is asked for by the bytes of its name")
    func keyIsAsked() async throws {
        let text = TestKeys.jwks(TestKeys.jwk(.eddsa, ["kid": "K\u{E9}"]))
        let verifier = try verifier(try await keys(text))
        _ = try await verifier.verify(token("{}", .eddsa, keyID: "K\u{E9}"))
        for name in ["Ke\u{301}", "\u{212A}\u{E9}"] {
            #expect(try await refusal(of: token("{}", .eddsa, keyID: name), by: verifier)?.code == .unknownKey)
        }
    }

    @Test("A key set has 100 keys at most")
    func keySetHas100Keys() async throws {
        let key = TestKeys.jwk(.eddsa)
        func text(_ count: Int) -> String {
            JSONValue.object(["keys": .array([JSONValue](repeating: key, count: count))]).text
        }
        _ = try await keys(text(KeySet.maximumKeys))
        await #expect(throws: KeyError.self) { try await keys(text(KeySet.maximumKeys + 1)) }
    }

    @Test("Without a kid every key of the algorithm is tried")
    func withoutAKidEveryKey() async throws {
        let other = try await TokenKeys(text: TestKeys.ecPublic)
        #expect(other.algorithms == [.es256])
        let keys = try await keys(
            TestKeys.jwks(TestKeys.jwk(.es256, ["kid": "a"]), TestKeys.jwk(.eddsa, ["kid": "b"])))
        #expect(keys.keys(for: TokenHeader(algorithm: .eddsa))?.map(\.id) == ["b"])
        #expect(keys.keys(for: TokenHeader(algorithm: .rs256)) == nil)
        #expect(keys.keys(for: TokenHeader(algorithm: .es256, keyID: "b")) == nil)
    }
}

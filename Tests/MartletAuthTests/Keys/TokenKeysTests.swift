// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletAuth

@Suite struct TokenKeysTests {
    @Test("A secret is as long as its hash", arguments: [(TokenAlgorithm.hs256, 32), (.hs384, 48), (.hs512, 64)])
    func secretIsAsLong(algorithm: TokenAlgorithm, length: Int) async throws {
        let secret = [UInt8](repeating: 0x61, count: length)
        _ = try await TokenKeys(secret: secret, algorithm: algorithm)
        let error = await #expect(throws: KeyError.self) {
            try await TokenKeys(secret: secret.dropLast(), algorithm: algorithm)
        }
        #expect(error?.code == .secretTooShort)
        #expect(error?.message.contains("\(length - 1) bytes") == true)
    }

    @Test("Line ends behind the secret of a file do not count")
    func lineEndsBehindTheSecret() async throws {
        let token = try await token(#"{"sub":"alice"}"#)
        for end in ["", "\n", "\r\n", "\n\n"] {
            let keys = try await TokenKeys(text: TestKeys.secret + end)
            #expect(try await TokenVerifier(keys: keys, audience: .any).verify(token).subject == "alice")
        }
        let keys = try await TokenKeys(text: TestKeys.secret + " \n")
        #expect(try await refusal(of: token, by: TokenVerifier(keys: keys, audience: .any))?.code == .badSignature)
    }

    @Test(
        "An RSA key may be a public key, a private key or a certificate",
        arguments: [
            TestKeys.rsaPublic, TestKeys.rsaPrivate, TestKeys.rsaPrivatePKCS1, TestKeys.rsaCertificate,
            "# a comment\r\n" + TestKeys.rsaPublic.replacing("\n", with: "\r\n") + "\r\n",
        ])
    func rsaKeyMay(pem: String) async throws {
        for algorithm in [nil, TokenAlgorithm.rs384, .ps512] {
            let keys = try await TokenKeys(text: pem, algorithm: algorithm)
            #expect(keys.algorithms == [algorithm ?? .rs256])
            let token = try await token(#"{"sub":"alice"}"#, algorithm ?? .rs256)
            #expect(try await TokenVerifier(keys: keys, audience: .any).verify(token).subject == "alice")
        }
    }

    @Test(
        "An EC key may be a public key, a private key or a certificate",
        arguments: [TestKeys.ecPrivateWithParameters, TestKeys.ecPublic, TestKeys.ecCertificate])
    func ecKeyMay(pem: String) async throws {
        let keys = try await TokenKeys(text: pem)
        #expect(keys.algorithms == [.es256])
        let token = try await TokenSigner(text: TestKeys.ecPrivateWithParameters).token(claiming: .object([:]))
        _ = try await TokenVerifier(keys: keys, audience: .any).verify(token)
    }

    @Test(
        "Text that is not a key is refused",
        arguments: [
            ("-----BEGIN PUBLIC KEY-----", nil, .unusable),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", nil, .unusable),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", nil, .unusable),
            (TestKeys.rsaPublic1024, nil, .unusable),
            (TestKeys.rsaPublic.replacing("PUBLIC", with: "ENCRYPTED PRIVATE"), nil, .unusable),
            (TestKeys.rsaPublic, .es256, .wrongAlgorithm), (TestKeys.ecPublic, .es384, .wrongAlgorithm),
            (TestKeys.ecPublic, .rs256, .wrongAlgorithm), (TestKeys.secret, .rs256, .wrongAlgorithm),
            ("", nil, .secretTooShort), ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDAgogXuIi7", nil, .unusable),
            (TestKeys.jwk(.es256).text, nil, .unusable),
            (TestKeys.jwks(TestKeys.jwk(.es256)) + "\n", .hs256, .unusable),
        ] as [(String, TokenAlgorithm?, KeyError.Code)])
    func whatIsNoKey(text: String, algorithm: TokenAlgorithm?, code: KeyError.Code) async throws {
        let error = await #expect(throws: KeyError.self) { try await TokenKeys(text: text, algorithm: algorithm) }
        #expect(error?.code == code)
    }

    @Test("Signing needs the private key")
    func signingNeedsThePrivateKey() async throws {
        let error = await #expect(throws: KeyError.self) { try await TokenSigner(text: TestKeys.rsaPublic) }
        #expect(error?.code == .notPrivate)
    }
}

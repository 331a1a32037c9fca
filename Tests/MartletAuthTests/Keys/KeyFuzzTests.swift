// SPDX-License-Identifier: Apache-2.0

import Foundation
import JWTKit
import MartletHTTP
import TestSupport
import Testing

@testable import MartletAuth

/// Keys come from files, variables and the network, and libraries read them that stop the process at what they think
/// impossible.
@Suite struct KeyFuzzTests {
    /// Reading a key takes some milliseconds here, a hundred times as long as reading a token.
    private static let count = (FuzzSettings.count ?? 50_000) / 100

    private static let pieces = [
        "-----BEGIN ", "-----END ", "-----", "PUBLIC KEY", "PRIVATE KEY", "CERTIFICATE", "RSA ", "EC ", "\n", "\\n",
        "\\",
        "\"", " ", "=", "==", "AAAA", "MII", "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
        "////", "AQAB", "30", "0282", "\u{FEFF}", "\u{301}", "\0", "{", "}", "[", "]", ":", ",", "kty", "keys",
        "ssh-rsa ",
        "<", ">", "$", "${", "$(", "%", "file:", "/", "./", ".pem", "https://", "changeme", "e30.", ".",
    ]

    @Test("Any text is a key or refused with a reason that does not repeat it")
    func anyTextIsAKey() async throws {
        let corpus = [
            TestKeys.rsaPublic, TestKeys.rsaPrivate, TestKeys.rsaPublicPKCS1, TestKeys.ecPublic, TestKeys.ecCertificate,
            TestKeys.rsaCertificate, TestKeys.ecPrivateWithParameters, TestKeys.eddsa.publicKey.pemRepresentation,
            TestKeys.jwks(TestKeys.jwk(.es256)), TestKeys.secret, TestKeys.rsaModulus,
        ]
        var input = FuzzInput(pieces: Self.pieces)
        while input.number < Self.count, await input.next(from: corpus) {
            await Task.yield()
            do { _ = try await TokenKeys(text: input.text) } catch let error as KeyError {
                if input.bytes.count > 20, error.message.contains(input.text) {
                    input.fail("the reason repeats the text")
                }
            }
        }
    }

    /// The parsers of DER are behind base64, where changes of the text hardly reach them.
    @Test("Any DER is a key or refused")
    func anyDERIsAKey() async throws {
        let corpus = [
            TestKeys.rsaPublic, TestKeys.rsaPrivate, TestKeys.rsaPublicPKCS1, TestKeys.rsaPrivatePKCS1,
            TestKeys.ecPublic,
            TestKeys.ecCertificate, TestKeys.rsaCertificate, TestKeys.es384.pemRepresentation,
            TestKeys.es512.publicKey.pemRepresentation, TestKeys.eddsa.pemRepresentation,
        ].compactMap { PEM.firstKey(in: $0.utf8)?.bytes }
        var input = FuzzInput(pieces: Self.pieces)
        while input.number < Self.count, await input.next() {
            var bytes = input.choose(corpus)
            for byte in input.bytes.prefix(input.choose([1, 2, 4, 8])) {
                bytes[input.choose(Array(bytes.indices))] = byte
            }
            bytes.removeLast(input.choose([0, 0, 0, 1, 9]))
            await Task.yield()
            _ = try? AsymmetricKey(PEM.text(input.choose(PEM.labels), bytes))
            if let key = AsymmetricKey(der: bytes), let algorithm = key.algorithms.first {
                let verifier = VerificationKey(algorithm, try await key.verifier(algorithm))
                #expect(!verifier.accepts(bytes, of: bytes))
            }
        }
    }

    @Test("Any key set is read or refused, and its keys judge any signature")
    func anyKeySetIsRead() async throws {
        let values = [
            "\"RSA\"", "\"EC\"", "\"OKP\"", "\"AQAB\"", "\"AQ\"", "\"AA\"", "\"\"", "\"=\"", "null", "7", "-1e999",
            "[]", "{}",
            "\"P-256\"", "\"P-521\"", "\"Ed25519\"", "\"\(TestKeys.rsaModulus)\"", "\"sig\"", "[\"verify\"]",
            "\"RS256\"",
            "\"\(String(repeating: "_", count: 4000))\"", "\"\(String(repeating: "A", count: 43))\"",
            "\"\(String(repeating: "_", count: 43))\"", "\"\(String(repeating: "_w", count: 43))\"",
        ]
        let names = ["kty", "n", "e", "crv", "x", "y", "d", "use", "key_ops", "alg", "kid", "x5c", "k"]
        let good: [TokenAlgorithm] = [.rs256, .es256, .es384, .es512, .eddsa]
        var input = FuzzInput(pieces: Self.pieces)
        while input.number < Self.count, await input.next() {
            guard case .object(var key) = TestKeys.jwk(input.choose(good)) else { continue }
            for _ in 0..<input.choose([1, 1, 2, 3]) {
                key[input.choose(names)] = try JSONValue(parsing: input.choose(values).utf8)
            }
            await Task.yield()
            let text = TestKeys.jwks(.object(key))
            guard let set = try? await KeySet(jwks: Array(text.utf8), allowing: TokenAlgorithm.asymmetric) else {
                continue
            }
            for algorithm in TokenAlgorithm.asymmetric {
                for key in set.keys(for: TokenHeader(algorithm: algorithm)) ?? [] {
                    if key.accepts(input.bytes, of: input.bytes) {
                        input.fail("the key accepts any signature: \(text)")
                    }
                }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import JWTKit
import MartletSupport
import TestSupport
import Testing

@testable import MartletAuth

@Suite struct ParsedKeyTests {
    /// The base64 of the public key in DER, as it stands in PEM.
    private static let body = TestKeys.rsaPublic.split(separator: "\n").dropFirst().dropLast()

    private static let usable: [(name: String, text: String)] = {
        let pem = TestKeys.rsaPublic
        return [
            ("as it is", pem), ("CRLF", pem.replacing("\n", with: "\r\n")), ("CR", pem.replacing("\n", with: "\r")),
            ("a byte order mark", "\u{FEFF}" + pem), ("spaces before", "  \n " + pem),
            ("indented", pem.split(separator: "\n").map { "\t  \($0)  " }.joined(separator: "\n")),
            ("text around", "# the key\n\(pem)\n# and more"), (#"\n"#, pem.replacing("\n", with: #"\n"#)),
            (#"\\r\\n"#, pem.replacing("\n", with: #"\\r\\n"#)), ("on one line", pem.replacing("\n", with: " ")),
            ("without line ends", pem.replacing("\n", with: "")), ("quoted", "\"\(pem)\""), ("'quoted'", "'\(pem)'"),
            ("a member", #"{"key": "\#(pem.replacing("\n", with: #"\n"#).replacing("/", with: #"\/"#))"}"#),
            ("quoted lines", pem.split(separator: "\n").map { "\"\($0)\\n\"" }.joined(separator: "\n")),
            ("base64 of DER", body.joined()), ("in lines", body.joined(separator: "\r\n") + "\n"),
            ("base64url", body.joined().replacing("+", with: "-").replacing("/", with: "_")),
            ("quoted base64", " \"\(body.joined())\""),
            ("hex of DER", Data(base64Encoded: body.joined())!.map { hex($0) }.joined()),
            ("base64 of PEM", Data(pem.utf8).base64EncodedString()),
            ("base64 of base64 of PEM", Data(Data(pem.utf8).base64EncodedString().utf8).base64EncodedString()),
            ("PKCS #1", TestKeys.rsaPublicPKCS1), ("the private key", TestKeys.rsaPrivate),
            ("base64 of the private key", Data(TestKeys.rsaPrivate.utf8).base64EncodedString()),
            ("a certificate", TestKeys.rsaCertificate.replacing("\n", with: #"\n"#)),
        ]
    }()

    private static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    @Test("A key in any form of PEM or DER verifies what its owner signs, and is no secret", arguments: usable.indices)
    func keyInAnyForm(index: Int) async throws {
        let (name, text) = Self.usable[index]
        let keys = try await TokenKeys(text: text)
        #expect(keys.algorithms == [.rs256], "\(name)")
        let verifier = TokenVerifier(keys: keys, audience: .any)
        #expect(try await verifier.verify(token(#"{"sub":"alice"}"#, .rs256)).subject == "alice", "\(name)")
        try await expectNoSecret(text, verifier)
    }

    @Test("Keys on curves are found in DER too", arguments: [TokenAlgorithm.es256, .es384, .es512, .eddsa])
    func keysOnCurvesAreFound(algorithm: TokenAlgorithm) async throws {
        let pem = TestKeys.publicText(algorithm)
        for text in [pem.split(separator: "\n").dropFirst().dropLast().joined(), pem.replacing("\n", with: #"\n"#)] {
            let keys = try await TokenKeys(text: text)
            #expect(keys.algorithms == [algorithm])
            _ = try await TokenVerifier(keys: keys, audience: .any).verify(token("{}", algorithm))
        }
    }

    /// Whoever knows the text could sign with it, if it were a secret: also without its line end, or without its quotes.
    private func expectNoSecret(_ text: String, _ verifier: TokenVerifier) async throws {
        for secret in [text, text.trimmingCharacters(in: .whitespacesAndNewlines)] {
            let input = "\(Base64URL.encode(#"{"alg":"HS256"}"#.utf8)).\(Base64URL.encode(#"{"sub":"root"}"#.utf8))"
            let code = HMAC<SHA256>.authenticationCode(
                for: Data(input.utf8), using: SymmetricKey(data: Data(secret.utf8)))
            let forged = "\(input).\(Base64URL.encode(Array(code)))"
            #expect(try await refusal(of: forged, by: verifier)?.code == .algorithmNotAllowed)
        }
    }

    private static let known: [String] = {
        let pem = TestKeys.rsaPublic
        let jwk = TestKeys.jwk(.rs256).text
        let ssh = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC" + String(repeating: "x", count: 300) + " a@b"
        let point = Base64URL.encode([0x04] + TestKeys.es256.publicKey.rawPoint)
        return [
            pem.replacing("-----", with: "----"), pem.replacing("-----", with: "\u{2014}"),
            pem.replacing("BEGIN", with: "begin"), pem.lowercased(), pem.replacing("-----", with: ""),
            String(pem.dropLast(30)), String(pem.dropFirst(20)), pem.replacing("PUBLIC KEY", with: "PUBLICKEY"),
            pem.replacing("PUBLIC", with: "OPENSSH PRIVATE"), pem.replacing("MIIB", with: "MII"),
            TestKeys.rsaPublic1024, String(body.joined().dropFirst()), String(body.joined().dropLast(50)),
            body.dropFirst().joined(), "key: " + body.joined(),
            String(TestKeys.rsaPublicPKCS1.dropFirst(31).prefix(300)),
            ssh, " " + ssh, "\u{FEFF}" + ssh, "no-pty " + ssh, String(ssh.dropFirst(8)),
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBF",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVwzXvZ6FIm4W5SlWV", "PuTTY-User-Key-File-3: ssh-ed25519",
            "---- BEGIN SSH2 PUBLIC KEY ----\n" + String(repeating: "A", count: 300),
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBF", jwk, "\u{FEFF}" + jwk, "  " + jwk, "[\(jwk)]",
            TestKeys.jwks(TestKeys.jwk(.rs256)), String(jwk.dropLast()), "\"\(jwk.replacing("\"", with: "\\\""))\"",
            Data(jwk.utf8).base64EncodedString(), TestKeys.jwk(.hs256).text, TestKeys.rsaModulus,
            "\"\(TestKeys.rsaModulus)\"", point, "Modulus=" + String(repeating: "A1", count: 128),
            "Public-Key: (2048 bit)\nModulus:\n    00:a8:db", "RSA Public-Key: (2048 bit)",
            "<RSAKeyValue><Modulus>" + String(repeating: "A", count: 300) + "</Modulus></RSAKeyValue>",
            "<!DOCTYPE html><html><body>404 Not Found, and some more</body></html>",
            "\u{FEFF}<?xml version=\"1.0\"?><key>" + String(repeating: "A", count: 40),
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.dGhlIHNpZ25hdHVyZSBvZiBhIHRva2Vu",
        ]
    }()

    private static let places = [
        "https://login.example.com/.well-known/jwks.json", " HTTPS://login.example.com/.well-known/jwks.json",
        "file:///run/secrets/publisher-public-key.pem", "File:/run/secrets/publisher-public-key.pem",
        "file=/run/secrets/publisher-public-key", "file /run/secrets/publisher-public-key",
        "vault:secret/data/mercure#key",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key", "op://vault/mercure/publisher-key/password",
        "/run/secrets/publisher-public-key.pem", "/run/secrets/publisherkeyofthehub",
        "\"/etc/martlet/publisher.key\"  ",
        "/srv/keys with spaces/publisher of the hub", "./keys/of/the/publishers/of/this/hub",
        "../keys/of/the/publishers",
        "~/keys/of/the/publishers/of/this/hub", #"C:\keys\publisher-of-this-hub.pem"#,
        #"\\server\keys\publisher-of-the-hub"#,
        "@/run/secrets/publisher-of-this-hub-key", "publisher-public-key-of-the-hub.pem",
        "keys/of/the/hub/publisher.jwks",
        "$(cat /run/secrets/publisher.key.pub)", "`cat /run/secrets/publisher.key.pub`",
        "${MERCURE_PUBLISHER_JWT_KEY_FROM_VAULT}", "${MERCURE_PUBLISHER_JWT_KEY:?it has to be set}",
        "key-${MERCURE_PUBLISHER_JWT_KEY_FROM_VAULT}", "$MERCURE_PUBLISHER_JWT_KEY_FROM_VAULT",
        "$env:MERCURE_PUBLISHER_JWT_KEY_OF_THE_HUB", "${{ secrets.MERCURE_PUBLISHER_JWT_KEY }}",
        "{{ .Values.mercure.publisherKeyOfTheHub }}", "%MERCURE_PUBLISHER_JWT_KEY_FROM_VAULT%",
        "\u{FEFF}\n${KEY_OF_THE_HUB}",
        "#{MERCURE_PUBLISHER_JWT_KEY_FROM_VAULT}",
    ]

    private static let examples = [
        "!ChangeThisMercureHubJWTSecretKey!", "!ChangeMe!!ChangeMe!!ChangeMe!!ChangeMe!",
        "change_me-change_me-change_me-change_me",
        "a-string-secret-at-least-256-bits-long", "<your secret of at least 32 bytes here>",
        "your-secret-key-goes-here-0123456789",
        "please_replace_this_with_a_random_text", "\"this is a placeholder for the real thing\"",
    ]

    @Test("Public bytes are refused and never become a secret", arguments: known + places + examples)
    func whatOthersMay(text: String) async throws {
        for algorithm in [nil, TokenAlgorithm.hs256, .rs256] {
            let error = await #expect(throws: KeyError.self) { try await TokenKeys(text: text, algorithm: algorithm) }
            #expect(error?.code == .unusable)
            #expect(error.map { !$0.message.contains(text) } == true)
        }
        await #expect(throws: KeyError.self) { try await TokenSigner(text: text) }
    }

    @Test("The error says what the text looks like and what to do")
    func errorSaysWhatTheText() async throws {
        for (text, parts) in [
            (Self.places[0], ["a URL", "file:"]), (TestKeys.rsaModulus, ["modulus", "PEM"]),
            (Self.examples[0], ["example", "openssl rand -hex 32"]), (TestKeys.jwk(.rs256).text, ["JSON Web Key"]),
        ] {
            let error = await #expect(throws: KeyError.self) { try await TokenKeys(text: text) }
            for part in parts { #expect(error?.message.contains(part) == true, "\(part)") }
        }
    }

    @Test(
        "A text that is nothing else is a secret, byte for byte",
        arguments: [
            "the secret of the hub, which has some words in it", "correct-horse-battery-staple-and-some-more-of-it",
            "/3kd8F0sK1m2N3b4V5c6X7z8L9k0J1h2G3f4D5s6A7Q=", "+3kd8F0sK1m2N3b4V5c6X7z8L9k0J1h2G3f4D5s6A7Q=",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "MII am a secret with thirty-two bytes and more",
            "p4ss/w0rd-with $ome {odd} [char]acters: <and> \"more\"",
            "$2b$12$abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUV01234",
            "base64:3kd8F0sK1m2N3b4V5c6X7z8L9k0J1h2G3f4D5s6A7Q=",
            "geheimer Schl\u{FC}ssel f\u{FC}r die Ver\u{F6}ffentlicher",
            "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}",
        ])
    func textThatIsNothingElse(text: String) async throws {
        let keys = try await TokenKeys(text: text)
        #expect(keys.algorithms == [.hs256])
        let same = try await TokenKeys(secret: text.utf8)
        let token = try await TokenSigner(text: text).token(claiming: .object([:]))
        for keys in [keys, same] { _ = try await TokenVerifier(keys: keys, audience: .any).verify(token) }
    }

    @Test("Random secrets work, however long they are and however they are written")
    func randomSecretsWorkHoweverLong() async throws {
        var random = SeededGenerator(seed: 20_261_128)
        for length in [32, 48, 64, 100, 128, 256, 512, 1000] {
            for _ in 0..<10 {
                await Task.yield()
                let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
                let padded = Data(bytes).base64EncodedString()
                let lines = Data(bytes).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
                var texts = [padded, lines, bytes.map { Self.hex($0) }.joined()]
                // See RSAModulus: of these lengths one in forty is taken for a modulus.
                if length < 128 || length % 64 != 0 { texts.append(Base64URL.encode(bytes)) }
                for text in texts { _ = try await TokenKeys(text: text) }
            }
        }
    }

    @Test("A modulus is told from random numbers of its size")
    func modulusIsToldFromRandom() {
        var random = SeededGenerator(seed: 20_261_128)
        let taken = (0..<100).filter { _ in
            RSAModulus.isOne(Base64URL.encode((0..<256).map { _ in UInt8.random(in: 0...255, using: &random) }))
        }
        #expect(taken.count < 20)
        #expect(RSAModulus.isOne(TestKeys.rsaModulus))
        #expect(RSAModulus.isOne(Base64URL.encode([0] + (Base64URL.decode(Array(TestKeys.rsaModulus.utf8)) ?? []))))
        #expect(!RSAModulus.isOne(TestKeys.rsaModulus + "AA"))
        #expect(!RSAModulus.isOne(""))
        // As base64url these would be the number of a modulus.
        #expect(!RSAModulus.isOne(String(repeating: "9", count: 252) + "0003"))
    }

    @Test("Bytes are the DER of a key only as a whole, or when its kind is in them")
    func bytesAreTheDER() {
        #expect(!PublicKeyBytes.isKey([]))
        for count in 1...64 {
            #expect(!PublicKeyBytes.isKey([UInt8](repeating: 0x30, count: count)))
            #expect(!PublicKeyBytes.isKey([UInt8](repeating: 0x02, count: count)))
        }
        #expect(PublicKeyBytes.isKey([0x30, 0x08, 0x02, 0x01, 0x07, 0x02, 0x03, 0x01, 0x00, 0x01]))
        #expect(!PublicKeyBytes.isKey([0x30, 0x08, 0x02, 0x01, 0x07, 0x02, 0x04, 0x01, 0x00, 0x01]))
        #expect(PublicKeyBytes.isKey([0x30, 0x82, 0x01, 0x0A, 0x02, 0x82, 0x01, 0x01, 0x00]))
    }
}

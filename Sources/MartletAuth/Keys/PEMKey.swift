// SPDX-License-Identifier: Apache-2.0

import JWTKit
import MartletSupport

/// A key that is not a secret, in PEM (RFC 7468) or DER: RSA of 2048 bits or more, EC on P-256, P-384 or P-521, or Ed25519;
/// public, private or in a certificate.
struct PEMKey: Sendable {
    private typealias RSA = JWTKit.Insecure.RSA

    private enum Kind {
        case rsa(RSA.PublicKey, RSA.PrivateKey?)
        case es256(ES256PublicKey, ES256PrivateKey?)
        case es384(ES384PublicKey, ES384PrivateKey?)
        case es512(ES512PublicKey, ES512PrivateKey?)
        case eddsa(EdDSA.PublicKey, EdDSA.PrivateKey?)
    }

    private let kind: Kind

    /// The first key or certificate of a PEM text.
    init(_ text: String) throws(KeyError) {
        guard let block = PEMText.firstKey(in: text.utf8) else {
            throw KeyError(
                .unusable,
                "The PEM text holds no public key, certificate or private key. Check that it was copied as a whole.")
        }
        try self.init(block)
    }

    init(_ block: PEMText.Block) throws(KeyError) {
        guard let kind = block.bytes.flatMap({ Self.kind(block.label, $0) }) else {
            throw KeyError(
                .unusable,
                "The PEM \(block.label.asciiLowercased) cannot be used. Use RSA of 2048 bits or more, EC on P-256, P-384 "
                    + "or P-521, or Ed25519, whole and not encrypted.")
        }
        self.kind = kind
    }

    /// `nil` where this is the DER of no key that can be used.
    init?(der bytes: [UInt8]) {
        guard PublicBytes.isKey(bytes),
            let kind = PEMText.labels.lazy.compactMap({ Self.kind($0, bytes) }).first
        else { return nil }
        self.kind = kind
    }

    private static func kind(_ label: String, _ bytes: [UInt8]) -> Kind? {
        let pem = PEMText.text(label, bytes)
        return switch label {
        case "CERTIFICATE": certificate(pem)
        case "PUBLIC KEY", "RSA PUBLIC KEY": publicKey(pem)
        default: privateKey(pem)
        }
    }

    /// The algorithms that the key is for, the usual one first.
    var algorithms: [TokenAlgorithm] {
        switch kind {
        case .rsa: [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
        case .es256: [.es256]
        case .es384: [.es384]
        case .es512: [.es512]
        case .eddsa: [.eddsa]
        }
    }

    /// The algorithm to use: the one that is asked for, else the usual one.
    func algorithm(_ asked: TokenAlgorithm?) throws(KeyError) -> TokenAlgorithm {
        guard let asked else { return algorithms[0] }
        guard algorithms.contains(asked) else {
            throw KeyError(
                .wrongAlgorithm, "The PEM key is not one for \(asked), but for \(TokenAlgorithm.list(algorithms)).")
        }
        return asked
    }

    /// Verifies with the public part.
    func verifier(_ algorithm: TokenAlgorithm) async throws -> any JWTAlgorithm {
        let keys = JWTKeyCollection()
        switch kind {
        case .rsa(let key, _): await keys.add(rsa: key, algorithm)
        case .es256(let key, _): await keys.add(ecdsa: key)
        case .es384(let key, _): await keys.add(ecdsa: key)
        case .es512(let key, _): await keys.add(ecdsa: key)
        case .eddsa(let key, _): await keys.add(eddsa: key)
        }
        return try await keys.getKey()
    }

    /// Signs with the private part.
    func signer(_ algorithm: TokenAlgorithm) async throws -> any JWTAlgorithm {
        let keys = JWTKeyCollection()
        switch kind {
        case .rsa(_, let key?): await keys.add(rsa: key, algorithm)
        case .es256(_, let key?): await keys.add(ecdsa: key)
        case .es384(_, let key?): await keys.add(ecdsa: key)
        case .es512(_, let key?): await keys.add(ecdsa: key)
        case .eddsa(_, let key?): await keys.add(eddsa: key)
        default: throw KeyError(.notPrivate, "Signing needs the private key, and this PEM text holds the public one.")
        }
        return try await keys.getKey()
    }

    private static func publicKey(_ pem: String) -> Kind? {
        if let key = try? RSA.PublicKey(pem: pem) { return .rsa(key, nil) }
        if let key = try? ES256PublicKey(pem: pem) { return .es256(key, nil) }
        if let key = try? ES384PublicKey(pem: pem) { return .es384(key, nil) }
        if let key = try? ES512PublicKey(pem: pem) { return .es512(key, nil) }
        if let key = try? EdDSA.PublicKey(pem: pem) { return .eddsa(key, nil) }
        return nil
    }

    private static func certificate(_ pem: String) -> Kind? {
        if let key = try? RSA.PublicKey(certificatePEM: pem) { return .rsa(key, nil) }
        if let key = try? ES256PublicKey(certificate: pem) { return .es256(key, nil) }
        if let key = try? ES384PublicKey(certificate: pem) { return .es384(key, nil) }
        if let key = try? ES512PublicKey(certificate: pem) { return .es512(key, nil) }
        return nil
    }

    private static func privateKey(_ pem: String) -> Kind? {
        if let key = try? RSA.PrivateKey(pem: pem) { return .rsa(key.publicKey, key) }
        if let key = try? ES256PrivateKey(pem: pem) { return .es256(key.publicKey, key) }
        if let key = try? ES384PrivateKey(pem: pem) { return .es384(key.publicKey, key) }
        if let key = try? ES512PrivateKey(pem: pem) { return .es512(key.publicKey, key) }
        if let key = try? EdDSA.PrivateKey(pem: pem) { return .eddsa(key.publicKey, key) }
        return nil
    }
}

extension JWTKeyCollection {
    fileprivate func add(rsa key: some RSAKey, _ algorithm: TokenAlgorithm) {
        let digest: DigestAlgorithm =
            switch algorithm {
            case .rs384, .ps384: .sha384
            case .rs512, .ps512: .sha512
            default: .sha256
            }
        switch algorithm {
        case .ps256, .ps384, .ps512: add(pss: key, digestAlgorithm: digest)
        default: add(rsa: key, digestAlgorithm: digest)
        }
    }
}

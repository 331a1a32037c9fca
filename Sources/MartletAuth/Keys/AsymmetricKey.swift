// SPDX-License-Identifier: Apache-2.0

import Foundation
import JWTKit
import MartletSupport

/// A public or private key or a certificate, in PEM (RFC 7468) or DER: RSA of 2048 bits or more, EC on P-256, P-384 or
/// P-521, or Ed25519.
struct AsymmetricKey: Sendable {
    private typealias RSA = JWTKit.Insecure.RSA

    private enum Kind {
        case rsa(RSA.PublicKey, RSA.PrivateKey?)
        case es256(ES256PublicKey, ES256PrivateKey?)
        case es384(ES384PublicKey, ES384PrivateKey?)
        case es512(ES512PublicKey, ES512PrivateKey?)
        case eddsa(EdDSA.PublicKey, EdDSA.PrivateKey?)
    }

    private let kind: Kind

    /// Reads the first key or certificate of a PEM text.
    init(_ text: String) throws(KeyError) {
        guard let block = PEM.firstKey(in: text.utf8) else {
            throw KeyError(
                .unusable,
                "The PEM text holds no public key, certificate or private key. Check that it was copied as a whole.")
        }
        try self.init(block)
    }

    init(_ block: PEM.Block) throws(KeyError) {
        guard let kind = block.bytes.flatMap({ Self.kind(block.label, $0) }) else {
            throw KeyError(
                .unusable,
                "The PEM \(block.label.asciiLowercased) cannot be used. Use RSA of 2048 bits or more, EC on P-256, P-384 "
                    + "or P-521, or Ed25519, whole and not encrypted.")
        }
        self.kind = kind
    }

    /// `nil` if the bytes are not the DER of a usable key.
    init?(der bytes: [UInt8]) {
        guard PublicKeyBytes.isKey(bytes),
            let kind = PEM.labels.lazy.compactMap({ Self.kind($0, bytes) }).first
        else { return nil }
        self.kind = kind
    }

    private static func kind(_ label: String, _ bytes: [UInt8]) -> Kind? {
        let pem = PEM.text(label, bytes)
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

    /// The algorithm to use: the one that is asked for, or otherwise the usual one.
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

/// Reads PEM (RFC 7468) as it arrives through variables, templates and editors: its lines may be indented, quoted, joined,
/// or separated by a written `\n`, and other text may surround it.
enum PEM {
    struct Block {
        /// "PUBLIC KEY".
        let label: String
        /// The DER; `nil` if the text between the lines is no base64.
        let bytes: [UInt8]?
    }

    /// The labels of blocks that may hold a usable key.
    static let labels = [
        "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY",
    ]

    private static let begin = Array("-----BEGIN ".utf8)
    private static let dashes = Array("-----".utf8)

    /// The first whole block that may hold a key; `nil` if there is none. A file of `openssl ecparam` begins with another
    /// block.
    static func firstKey(in text: some Collection<UInt8>) -> Block? {
        var rest = Array(text)[...]
        while let start = rest.firstRange(of: begin) {
            rest = rest[start.upperBound...]
            guard let labelEnd = rest.firstRange(of: dashes) else { return nil }
            let label = String(decoding: rest[..<labelEnd.lowerBound], as: UTF8.self)
            guard labels.contains(where: label.isExactly),
                let end = rest.firstRange(of: Array("-----END \(label)-----".utf8))
            else { continue }
            return Block(label: label, bytes: KeyEncoding.base64(rest[labelEnd.upperBound..<end.lowerBound]))
        }
        return nil
    }

    /// Writes a block in the form that every reader of PEM understands.
    static func text(_ label: String, _ bytes: [UInt8]) -> String {
        let lines = Data(bytes).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return "-----BEGIN \(label)-----\n\(lines)\n-----END \(label)-----\n"
    }
}

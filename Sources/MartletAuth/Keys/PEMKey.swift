// SPDX-License-Identifier: Apache-2.0

import JWTKit

/// The first key or certificate of a PEM text (RFC 7468): RSA of 2048 bits or more, EC on P-256, P-384 or P-521, or
/// Ed25519.
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

    /// Whether a text looks like PEM.
    static func isPEM(_ text: String) -> Bool { text.contains("-----BEGIN ") }

    init(_ text: String) throws(KeyError) {
        guard let block = Self.blocks(of: text).first else {
            throw KeyError(
                .unusable,
                "The PEM text holds no public key, certificate or private key. Check that it was copied as a whole.")
        }
        let kind =
            switch block.label {
            case "CERTIFICATE": Self.certificate(block.pem)
            case "PUBLIC KEY", "RSA PUBLIC KEY": Self.publicKey(block.pem)
            default: Self.privateKey(block.pem)
            }
        guard let kind else {
            throw KeyError(
                .unusable,
                "The PEM \(block.label.lowercased()) cannot be used. Use RSA of 2048 bits or more, EC on P-256, P-384 or "
                    + "P-521, or Ed25519, not encrypted.")
        }
        self.kind = kind
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

    /// The blocks that may hold a key, each a PEM text of its own; a file of `openssl ecparam` begins with another kind.
    private static func blocks(of text: String) -> [(label: String, pem: String)] {
        var blocks: [(label: String, pem: String)] = []
        var lines: [Substring] = []
        for line in text.split(whereSeparator: \.isNewline).map({ $0.trimmingSuffix(while: \.isWhitespace) }) {
            if line.hasPrefix("-----BEGIN ") { lines = [] }
            lines.append(line)
            guard line.hasPrefix("-----END "), line.hasSuffix("-----") else { continue }
            let label = String(line.dropFirst(9).dropLast(5))
            guard labels.contains(label) else { continue }
            blocks.append((label, lines.joined(separator: "\n")))
        }
        return blocks
    }

    private static let labels: Set = [
        "CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY",
    ]
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

extension Substring {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> Substring {
        var text = self
        while let last = text.last, predicate(last) { text.removeLast() }
        return text
    }
}

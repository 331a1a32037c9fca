// SPDX-License-Identifier: Apache-2.0

import JWTKit
import MartletHTTP
import MartletSupport

/// The keys of a key set.
struct KeySet: Sendable {
    private let keys: [VerificationKey]
    private let haveNames: Bool

    init(_ keys: [VerificationKey]) {
        self.keys = keys
        haveNames = keys.contains { $0.id != nil }
    }

    /// The keys that may have signed a token: those with its `kid`, or all keys of its algorithm if the token has no `kid` or
    /// the keys have none.
    ///
    /// `nil`: there is no such key here, and a newer set may have one.
    func keys(for header: TokenHeader) -> [VerificationKey]? {
        let named = header.keyID.flatMap { id in haveNames ? keys.filter { $0.id?.isExactly(id) == true } : nil }
        let matching = (named ?? keys).filter { $0.algorithm == header.algorithm }
        return matching.isEmpty ? nil : matching
    }

    /// The most keys of a JSON Web Key Set.
    static let maximumKeys = 100

    /// Reads the keys of a JSON Web Key Set (RFC 7517 section 5) that are for one of the algorithms. Other keys are ignored:
    /// keys for encryption, secrets, and unknown kinds.
    ///
    /// - Throws: ``KeyError`` if the text is no set, has no usable key, or more than ``maximumKeys``.
    init(jwks text: some Collection<UInt8>, allowing algorithms: Set<TokenAlgorithm>) async throws(KeyError) {
        let document: JSONValue
        do { document = try JSONValue(parsing: text) } catch {
            throw KeyError(.malformedSet, "The key set cannot be read. \(error)")
        }
        guard case .array(let members)? = document["keys"] else {
            throw KeyError(.malformedSet, "The key set has no array \"keys\" (RFC 7517 section 5).")
        }
        guard members.count <= Self.maximumKeys else {
            throw KeyError(.malformedSet, "The key set has \(members.count) keys; \(Self.maximumKeys) are allowed.")
        }
        var keys: [VerificationKey] = []
        for member in members {
            for algorithm in JSONWebKey.algorithms(of: member) where algorithms.contains(algorithm) {
                guard let verifier = try? await JSONWebKey.verifier(member, algorithm) else { continue }
                keys.append(VerificationKey(id: member["kid"]?.stringValue, algorithm, verifier))
            }
        }
        guard !keys.isEmpty else {
            throw KeyError(.malformedSet, "The key set has no key for \(TokenAlgorithm.list(algorithms)).")
        }
        self.init(keys)
    }
}

/// A public key as JSON (RFC 7517 section 4). Private members are ignored.
enum JSONWebKey {
    /// The algorithms that a key may be used with: the one that it names, or otherwise all of its type. Empty for unknown
    /// algorithms, secrets, and keys for encryption.
    static func algorithms(of key: JSONValue) -> [TokenAlgorithm] {
        if let use = key["use"], use != .string("sig") { return [] }
        if let operations = key["key_ops"] {
            guard operations.strings?.contains(where: { $0.isExactly("verify") }) == true else { return [] }
        }
        let possible: [TokenAlgorithm] =
            switch (key["kty"]?.stringValue, key["crv"]?.stringValue) {
            case ("RSA", _): [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
            case ("EC", "P-256"): [.es256]
            case ("EC", "P-384"): [.es384]
            case ("EC", "P-521"): [.es512]
            case ("OKP", "Ed25519"): [.eddsa]
            default: []
            }
        guard let named = key["alg"] else { return possible }
        return possible.filter { $0.rawValue == named.stringValue }
    }

    static func verifier(_ key: JSONValue, _ algorithm: TokenAlgorithm) async throws -> any JWTAlgorithm {
        let id = JWKIdentifier(string: "key")
        let jwk: JWK =
            switch key["kty"]?.stringValue {
            case "RSA": .rsa(nil, identifier: id, modulus: key["n"]?.stringValue, exponent: key["e"]?.stringValue)
            case "EC":
                .ecdsa(
                    nil, identifier: id, x: key["x"]?.stringValue, y: key["y"]?.stringValue,
                    curve: ECDSACurve(rawValue: key["crv"]?.stringValue ?? ""))
            default:
                .octetKeyPair(nil, identifier: id, x: key["x"]?.stringValue, y: nil, curve: .ed25519)
            }
        return try await JWTKeyCollection().add(jwk: jwk).getKey(for: id, alg: algorithm.rawValue)
    }
}

/// A key that verifies the signatures of one algorithm. An object, so that a token can be known to be signed with this one.
final class VerificationKey: Sendable {
    /// `kid`, by which a token names its key; `nil` if the key has none.
    let id: String?
    let algorithm: TokenAlgorithm
    /// The key is inside the closure, so that nothing prints it.
    private let verify: @Sendable (_ signature: [UInt8], _ input: [UInt8]) -> Bool

    init(id: String? = nil, _ algorithm: TokenAlgorithm, _ verifier: any JWTAlgorithm) {
        self.id = id
        self.algorithm = algorithm
        verify = { signature, input in (try? verifier.verify(signature, signs: input)) ?? false }
    }

    /// Whether the key made the signature.
    func accepts(_ signature: [UInt8], of input: [UInt8]) -> Bool { verify(signature, input) }
}

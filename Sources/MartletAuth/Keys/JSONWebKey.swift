// SPDX-License-Identifier: Apache-2.0

import JWTKit
import MartletHTTP
import MartletSupport

/// A public key as JSON (RFC 7517 section 4). Private members are not looked at.
enum JSONWebKey {
    /// The algorithms that a key may be used with: the one that it names, else all of its type. Empty where none is
    /// known here, and for secrets and keys for encryption.
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

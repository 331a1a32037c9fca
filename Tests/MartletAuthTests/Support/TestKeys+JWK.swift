// SPDX-License-Identifier: Apache-2.0

import JWTKit
import MartletHTTP
import MartletSupport

@testable import MartletAuth

extension TestKeys {
    /// The public key for an algorithm as a JSON Web Key with these members besides.
    static func jwk(_ algorithm: TokenAlgorithm, _ members: [String: String] = [:]) -> JSONValue {
        let key: [String: String] =
            switch algorithm {
            case .hs256, .hs384, .hs512: ["kty": "oct", "k": Base64URL.encode(secret.utf8)]
            case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: ["kty": "RSA", "n": rsaModulus, "e": "AQAB"]
            case .es256: ec("P-256", es256.publicKey.parameters)
            case .es384: ec("P-384", es384.publicKey.parameters)
            case .es512: ec("P-521", es512.publicKey.parameters)
            case .eddsa:
                ["kty": "OKP", "crv": "Ed25519", "x": Base64URL.encode(eddsa.publicKey.rawRepresentation)]
            }
        return .object(key.merging(members) { $1 }.mapValues { .string($0) })
    }

    static func jwks(_ keys: JSONValue...) -> String { JSONValue.object(["keys": .array(keys)]).text }

    private static func ec(_ curve: String, _ parameters: ECDSAParameters?) -> [String: String] {
        func url(_ text: String?) -> String {
            (text ?? "").replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
        }
        return ["kty": "EC", "crv": curve, "x": url(parameters?.x), "y": url(parameters?.y)]
    }
}

extension ES256PublicKey {
    /// The coordinates of the point, one after the other.
    var rawPoint: [UInt8] {
        let parameters = parameters
        return [parameters?.x, parameters?.y].flatMap { KeyEncoding.base64(($0 ?? "").utf8) ?? [] }
    }
}

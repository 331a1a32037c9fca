// SPDX-License-Identifier: Apache-2.0

import JWTKit

/// A secret that both sides know, for HMAC.
struct Secret: Sendable, CustomStringConvertible, CustomReflectable {
    private let bytes: [UInt8]

    /// The algorithms that a secret is for, the usual one first.
    static let algorithms: [TokenAlgorithm] = [.hs256, .hs384, .hs512]

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

    /// What a text is that is no secret, but a public key in a form that cannot be used: "a key of SSH". `nil`: it is none.
    static func publicForm(of text: String) -> String? {
        if ["ssh-", "ecdsa-sha2-", "sk-ssh-"].contains(where: text.hasPrefix) { return "a key of SSH" }
        guard let json = try? JSONValue(parsing: text.utf8), json["kty"] != nil || json["keys"] != nil else {
            return nil
        }
        return "a JSON Web Key"
    }

    /// Verifies and signs.
    ///
    /// - Throws: ``KeyError`` where the secret is shorter than the hash (RFC 7518 section 3.2).
    func algorithm(_ algorithm: TokenAlgorithm) async throws -> any JWTAlgorithm {
        let (digest, length): (DigestAlgorithm, Int) =
            switch algorithm {
            case .hs256: (.sha256, 32)
            case .hs384: (.sha384, 48)
            case .hs512: (.sha512, 64)
            default:
                throw KeyError(
                    .wrongAlgorithm,
                    "A secret is not a key for \(algorithm), but for \(TokenAlgorithm.list(Self.algorithms)).")
            }
        guard bytes.count >= length else {
            throw KeyError(
                .secretTooShort,
                "The secret has \(bytes.count) bytes; \(algorithm) needs \(length) or more (RFC 7518 section 3.2). "
                    + "openssl rand -hex \(length) makes one.")
        }
        let keys = JWTKeyCollection()
        await keys.add(hmac: HMACKey(from: bytes), digestAlgorithm: digest)
        return try await keys.getKey()
    }

    var description: String { "a secret" }
    var customMirror: Mirror { Mirror(self, children: []) }
}

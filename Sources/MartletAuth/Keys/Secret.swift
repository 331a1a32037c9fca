// SPDX-License-Identifier: Apache-2.0

import JWTKit

/// A secret that both sides know, for HMAC.
struct Secret: Sendable, CustomStringConvertible, CustomReflectable {
    private let bytes: [UInt8]

    /// The algorithms that a secret is for, the usual one first.
    static let algorithms: [TokenAlgorithm] = [.hs256, .hs384, .hs512]

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

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

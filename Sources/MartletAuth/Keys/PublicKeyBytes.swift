// SPDX-License-Identifier: Apache-2.0

import Crypto
import MartletSupport

/// Tells the bytes of public keys from random bytes.
enum PublicKeyBytes {
    /// Whether the bytes are the DER of a key or a certificate, or begin like one.
    static func isKey(_ bytes: [UInt8]) -> Bool { isBeginning(of: bytes) || hasKeyPart(bytes) }

    /// Whether the bytes contain a part of a key: the identifier of its kind, or the usual exponent of RSA.
    static func hasKeyPart(_ bytes: [UInt8]) -> Bool {
        isBeginning(of: bytes) || parts.contains { bytes.contains($0) }
    }

    private static let parts: [[UInt8]] = [
        // The object identifiers of RSA, ECDSA and its curves, and Ed25519 and its like.
        [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D], [0x2A, 0x86, 0x48, 0xCE, 0x3D], [0x06, 0x05, 0x2B, 0x81, 0x04, 0x00],
        [0x30, 0x05, 0x06, 0x03, 0x2B, 0x65],
        // The INTEGER 65537.
        [0x02, 0x03, 0x01, 0x00, 0x01],
    ]

    /// A SEQUENCE that begins with a SEQUENCE or an INTEGER, and has a long length, or the right short one.
    private static func isBeginning(of bytes: [UInt8]) -> Bool {
        guard bytes.count > 8, bytes[0] == sequence else { return false }
        if (0x81...0x83).contains(bytes[1]) { return [sequence, integer].contains(bytes[Int(bytes[1] - 0x80) + 2]) }
        guard Int(bytes[1]) == bytes.count - 2, [sequence, integer].contains(bytes[2]) else { return false }
        var rest = bytes.dropFirst(2)
        while let length = rest.dropFirst().first {
            guard rest.count >= Int(length) + 2 else { return false }
            rest = rest.dropFirst(Int(length) + 2)
        }
        return rest.isEmpty
    }

    private static let sequence: UInt8 = 0x30
    private static let integer: UInt8 = 0x02

    /// Whether the bytes are an uncompressed point on a curve (SEC 1 section 2.3.3): a public key, as in web push.
    static func isPoint(_ bytes: [UInt8]) -> Bool {
        switch bytes.count {
        case 65: (try? P256.Signing.PublicKey(x963Representation: bytes)) != nil
        case 97: (try? P384.Signing.PublicKey(x963Representation: bytes)) != nil
        case 133: (try? P521.Signing.PublicKey(x963Representation: bytes)) != nil
        default: false
        }
    }
}

/// Tells the member `n` of a JSON Web Key from a random secret.
enum RSAModulus {
    /// In bytes. RSA keys of 1024 bits are the smallest that are still in use.
    private static let smallest = 128
    /// Sizes are multiples of 512 bits.
    private static let step = 64
    private static let largestDivisor: UInt64 = 1 << 16

    /// Whether a text is base64url, as `n` is, and its number may be the product of two large primes.
    ///
    /// One in forty random secrets that are base64url without padding, and have exactly 128, 192, 256 … bytes, also passes
    /// for a modulus. Secrets of 32, 48 and 64 bytes, in base64 with padding, and in hex never do.
    static func isOne(_ text: String) -> Bool {
        // Hex can be read as base64url, too.
        guard let bytes = Base64URL.decode(Array(text.utf8)), text.utf8.contains(where: { $0.hexDigit == nil }) else {
            return false
        }
        let number = Array(bytes.drop { $0 == 0 })
        guard number.count >= smallest, number.count % step == 0, let first = number.first, let last = number.last,
            first >= 0x80, last % 2 == 1
        else { return false }
        let words = stride(from: 0, to: number.count, by: 4).map { index in
            number[index..<index + 4].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
        return stride(from: 3, to: largestDivisor, by: 2).allSatisfy { divisor in
            words.reduce(0) { ($0 << 32 | $1) % divisor } != 0
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Crypto

/// Tells the bytes of keys from random ones.
enum PublicBytes {
    /// Whether these are the DER of a key or a certificate, or begin as one does.
    static func isKey(_ bytes: [UInt8]) -> Bool { isBeginning(of: bytes) || hasKeyPart(bytes) }

    /// Whether part of a key is in these, wherever it begins: what names its kind, or the usual exponent of RSA.
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

    /// A SEQUENCE that begins with a SEQUENCE or an INTEGER: with a length that only long ones have, or one that is right.
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

    /// Whether these are a point on a curve, uncompressed (SEC 1 section 2.3.3): a public key, such as those for web push.
    static func isPoint(_ bytes: [UInt8]) -> Bool {
        switch bytes.count {
        case 65: (try? P256.Signing.PublicKey(x963Representation: bytes)) != nil
        case 97: (try? P384.Signing.PublicKey(x963Representation: bytes)) != nil
        case 133: (try? P521.Signing.PublicKey(x963Representation: bytes)) != nil
        default: false
        }
    }
}

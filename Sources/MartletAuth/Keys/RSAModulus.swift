// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Tells the member `n` of a JSON Web Key from a random secret.
enum RSAModulus {
    /// In bytes; RSA keys of 1024 bits are the smallest that are still about.
    private static let smallest = 128
    /// Sizes are multiples of 512 bits.
    private static let step = 64
    private static let largestDivisor: UInt64 = 1 << 16

    /// Whether a text is base64url as `n` is, and its number may be the product of two large primes.
    ///
    /// Of random secrets one in forty that is base64url without padding, and of exactly 128, 192, 256 … bytes, is taken
    /// for a modulus too. Those of 32, 48 and 64 bytes, those in base64 with padding, and those in hex never are.
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

// SPDX-License-Identifier: Apache-2.0

/// A piece of text as its length and a hash. Equal pieces have equal anchors.
///
/// Different pieces of n bytes have the same anchor with a probability of n / 2^61 at most, even if an attacker chose them: the base
/// of the hash is random in each process. So an anchor finds what it stands for, and a look at the text confirms it.
struct Anchor: Hashable, Sendable {
    let length: Int
    fileprivate let hash: UInt64

    /// The hash of the text needs no other: its base is random.
    func hash(into hasher: inout Hasher) { hasher.combine(hash) }

    /// The anchor of the empty text.
    static let none = Anchor(length: 0, hash: 0)

    fileprivate init(length: Int, hash: UInt64) {
        self.length = length
        self.hash = hash
    }

    init(_ bytes: some Collection<UInt8>) {
        self.init(length: bytes.count, hash: bytes.reduce(0) { Polynomial.append($1, to: $0) })
    }

    /// The most bytes of an anchor that a ``HashedText`` finds anywhere but at its start.
    static let mostBytes = 64
}

/// A text that gives the anchor of any of its pieces in constant time, after a pass over all of it (Karp and Rabin,
/// *Efficient randomized pattern-matching algorithms*, 1987).
struct HashedText {
    let bytes: [UInt8]
    /// The hashes of the starts of the text, from the empty one to all of it.
    private let hashes: [UInt64]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var hashes: [UInt64] = [0]
        hashes.reserveCapacity(bytes.count + 1)
        var hash: UInt64 = 0
        for byte in bytes {
            hash = Polynomial.append(byte, to: hash)
            hashes.append(hash)
        }
        self.hashes = hashes
    }

    /// - Parameter length: At most ``Anchor/mostBytes``, unless the piece begins where the text does.
    func anchor(at start: Int, length: Int) -> Anchor {
        let end = hashes[start + length]
        return Anchor(length: length, hash: start == 0 ? end : Polynomial.remove(hashes[start], from: end, length))
    }
}

/// A hash of bytes: a polynomial in a random base modulo the prime 2^61 - 1.
private enum Polynomial {
    private static let modulus: UInt64 = (1 << 61) - 1
    private static let base = UInt64.random(in: 1 << 32..<modulus)
    private static let powers = (0..<Anchor.mostBytes).reduce(into: [1]) { powers, _ in
        powers.append(product(powers[powers.count - 1], base))
    }

    static func append(_ byte: UInt8, to hash: UInt64) -> UInt64 {
        reduced(product(hash, base) + UInt64(byte) + 1)
    }

    /// The hash of a text without what is before its last bytes, of which the hash is given too.
    static func remove(_ start: UInt64, from hash: UInt64, _ length: Int) -> UInt64 {
        reduced(hash + modulus - product(start, powers[length]))
    }

    /// Of two numbers below 2^61.
    private static func product(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (high, low) = a.multipliedFullWidth(by: b)
        return reduced((low & modulus) + (high << 3 | low >> 61))
    }

    /// - Parameter number: At most twice the modulus.
    private static func reduced(_ number: UInt64) -> UInt64 { number >= modulus ? number - modulus : number }
}

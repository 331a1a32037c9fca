// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import MartletSupport

/// What a message is called on all nodes.
enum MessageName: Hashable, Sendable {
    /// One that a hub has published.
    case numbered(NumberedName)
    /// One of another program: a hash of its message id.
    case foreign(UInt64)
}

/// An instance of the log, and the number of a message among those that it has published, from 1 on.
struct NumberedName: Hashable, Sendable {
    var publisher: PublisherID
    var number: UInt64

    var text: String { "\(publisher.text)-\(number)" }

    /// More than any hub publishes.
    static let mostNumber: UInt64 = 1 << 53

    init(publisher: PublisherID, number: UInt64) {
        self.publisher = publisher
        self.number = number
    }

    /// Each name has one spelling.
    init?(_ text: some StringProtocol) {
        let (id, rest) = (text.utf8.prefix(PublisherID.length), text.utf8.dropFirst(PublisherID.length))
        let digits = rest.dropFirst()
        guard let publisher = PublisherID(id), rest.first == UInt8(ascii: "-"), (1...16).contains(digits.count),
            digits.allSatisfy(\.isDigit), digits.first != UInt8(ascii: "0") || digits.count == 1
        else { return nil }
        self.publisher = publisher
        number = digits.reduce(0) { $0 * 10 + UInt64($1 - UInt8(ascii: "0")) }
        guard number <= Self.mostNumber else { return nil }
    }
}

/// An instance of the log on a node: 35 random bits.
struct PublisherID: Hashable, Sendable {
    var bits: UInt64

    static let length = 7

    static func random() -> PublisherID { PublisherID(bits: .random(in: 1..<1 << 35)) }

    init(bits: UInt64) { self.bits = bits }

    init?(_ text: some Collection<UInt8>) {
        guard text.count == Self.length, let bits = Base32.decode(text) else { return nil }
        self.bits = bits
    }

    var text: String { Base32.encode(bits, length: Self.length) }
}

/// Numbers as digits and lower-case letters, without those that are easily mistaken.
enum Base32 {
    private static let digits = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    static func encode(_ number: UInt64, length: Int) -> String {
        String(unsafeUninitializedCapacity: length) { bytes in
            for place in 0..<length {
                bytes.initializeElement(at: place, to: digits[Int(number >> UInt64(5 * (length - 1 - place)) & 31)])
            }
            return length
        }
    }

    /// - Parameter text: At most 13 bytes.
    static func decode(_ text: some Collection<UInt8>) -> UInt64? {
        var number: UInt64 = 0
        for byte in text {
            guard let digit = digits.firstIndex(of: byte) else { return nil }
            number = number << 5 | UInt64(digit)
        }
        return number
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// One life of an embedded log. Its positions are written `<epoch>-<offset>`, such as `k3v9x2ma-1042`.
package struct Epoch: Hashable, Sendable {
    /// Eight digits and lower-case letters.
    package let text: String

    private static let length = 8

    /// A new epoch, told from all others by 40 random bits.
    package init() {
        let digits = Array("0123456789abcdefghijkmnpqrstvwxyz".utf8.prefix(32))
        text = String(decoding: (0..<Self.length).map { _ in digits[Int.random(in: 0..<32)] }, as: UTF8.self)
    }

    /// An epoch that was made before; `nil` where a text cannot be one.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == Self.length,
            text.utf8.allSatisfy({ $0.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) })
        else { return nil }
        self.text = String(text)
    }

    package func position(_ offset: UInt64) -> Position { Position(checked: "\(text)-\(offset)") }

    /// The offset that an id stands for as a position of this epoch; `nil` if it is of no epoch or of another.
    package func offset(of id: String) -> UInt64? {
        guard let parts = Self.parts(of: id), parts.epoch == self else { return nil }
        return parts.offset
    }

    /// What an id says as the position of some epoch; `nil` where it is none. Each has one spelling.
    package static func parts(of id: String) -> (epoch: Epoch, offset: UInt64)? {
        guard let (epoch, digits) = id.cutExactly(at: UInt8(ascii: "-")), let epoch = Epoch(epoch),
            digits.utf8.allSatisfy(\.isDigit), digits.utf8.first != UInt8(ascii: "0") || digits.utf8.count == 1
        else { return nil }
        return UInt64(digits).map { (epoch, $0) }
    }
}

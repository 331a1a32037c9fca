// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// One life of a log. It keeps positions of different lives apart: after a loss of events, a new event may get the
/// number of a lost one.
///
/// The positions of an embedded log are written `<epoch>-<offset>`, such as `k3v9x2ma-1042`.
public struct Epoch: Hashable, Sendable {
    /// Eight ASCII digits and lower-case letters.
    public let text: String

    private static let length = 8

    /// A new epoch: 40 random bits.
    public init() {
        let digits = Array("0123456789abcdefghijkmnpqrstvwxyz".utf8.prefix(32))
        text = String(decoding: (0..<Self.length).map { _ in digits[Int.random(in: 0..<32)] }, as: UTF8.self)
    }

    /// The epoch with a text; `nil` if no epoch has such a text.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == Self.length,
            text.utf8.allSatisfy({ $0.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) })
        else { return nil }
        self.text = String(text)
    }

    /// The position behind the event with this offset.
    public func position(_ offset: UInt64) -> Position { Position(checked: "\(text)-\(offset)") }

    /// The offset that an id stands for as a position of this epoch; `nil` if it is of no epoch or of another.
    public func offset(of id: String) -> UInt64? {
        guard let parts = Self.parts(of: id), parts.epoch == self else { return nil }
        return parts.offset
    }

    /// The epoch and the offset of an id that is the position of any epoch, otherwise `nil`. Each position has one
    /// spelling.
    public static func parts(of id: String) -> (epoch: Epoch, offset: UInt64)? {
        guard let (epoch, digits) = id.cutExactly(at: UInt8(ascii: "-")), let epoch = Epoch(epoch),
            digits.utf8.allSatisfy(\.isDigit), digits.utf8.first != UInt8(ascii: "0") || digits.utf8.count == 1
        else { return nil }
        return UInt64(digits).map { (epoch, $0) }
    }
}

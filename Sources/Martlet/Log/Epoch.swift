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
    public func position(_ offset: UInt64) -> Position {
        var (length, rest) = (Self.length + 2, offset)
        while rest >= 10 {
            length += 1
            rest /= 10
        }
        // Every event has several; an interpolation takes three times as long.
        let position = String(unsafeUninitializedCapacity: length) { bytes in
            var (place, rest) = (length, offset)
            repeat {
                place -= 1
                bytes[place] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            _ = bytes.initialize(from: text.utf8)
            bytes[Self.length] = UInt8(ascii: "-")
            return length
        }
        return Position(checked: position)
    }

    /// The offset that an id stands for as a position of this epoch; `nil` if it is of no epoch or of another.
    public func offset(of id: String) -> UInt64? {
        id.startsExactly(with: text) ? Self.offset(id.utf8.dropFirst(Self.length)) : nil
    }

    /// The epoch and the offset of an id that is the position of any epoch, otherwise `nil`. Each position has one
    /// spelling.
    public static func parts(of id: String) -> (epoch: Epoch, offset: UInt64)? {
        let (text, digits) = (id.utf8.prefix(length), id.utf8.dropFirst(length))
        guard let epoch = Epoch(Substring(text)), let offset = offset(digits) else { return nil }
        return (epoch, offset)
    }

    /// The number behind a hyphen.
    private static func offset(_ text: Substring.UTF8View) -> UInt64? {
        let digits = text.dropFirst()
        guard text.first == UInt8(ascii: "-"), let first = digits.first,
            first != UInt8(ascii: "0") || digits.count == 1
        else { return nil }
        var offset: UInt64 = 0
        for digit in digits {
            guard digit.isDigit else { return nil }
            let (tens, isTooLarge) = offset.multipliedReportingOverflow(by: 10)
            let (sum, isLarger) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
            guard !isTooLarge, !isLarger else { return nil }
            offset = sum
        }
        return offset
    }
}

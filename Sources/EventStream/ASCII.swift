// SPDX-License-Identifier: Apache-2.0

/// The bytes with a meaning in an event stream. None of them occurs inside a longer UTF-8 sequence, so a stream can be
/// cut at them before it is decoded.
extension UInt8 {
    static var null: UInt8 { 0x00 }
    static var colon: UInt8 { 0x3A }
    @inlinable static var lineFeed: UInt8 { 0x0A }
    @inlinable static var carriageReturn: UInt8 { 0x0D }
    @inlinable static var space: UInt8 { 0x20 }

    @inlinable var endsLine: Bool { self == .lineFeed || self == .carriageReturn }
    var isDigit: Bool { (0x30...0x39).contains(self) }

    /// Whether a header may have it in its value: RFC 9110 section 5.5.
    var isFieldByte: Bool { self == 0x09 || self >= 0x20 && self != 0x7F }
}

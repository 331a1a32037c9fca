// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A place in a distributed trace: the value of the header `traceparent`, for example
/// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
///
/// Source: <https://www.w3.org/TR/trace-context/#traceparent-header>
public struct TraceParent: Hashable, Sendable, CustomStringConvertible {
    private let trace: (high: UInt64, low: UInt64)
    private let parent: UInt64
    /// The lowest bit says that the trace may be recorded.
    public let flags: UInt8

    /// The id of the whole trace: 32 hex digits in lower case.
    public var traceID: String { trace.high.hexText + trace.low.hexText }
    /// The id of the span in which the publisher sent the event: 16 hex digits in lower case.
    public var parentID: String { parent.hexText }

    /// The value of the header, in version 00.
    public var description: String { "00-\(traceID)-\(parentID)-\(flags.hexText)" }

    /// Reads the value of a header strictly. Of a later version, it reads what version 00 has, as the standard demands.
    ///
    /// - Returns: `nil` if the value is malformed. It is then ignored, as if there were no header.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8.prefix(Self.byteCount + 1))
        let dash = UInt8(ascii: "-")
        guard bytes.count >= Self.byteCount, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = Self.number(bytes[0..<2]), version != 0xFF,
            let high = Self.number(bytes[3..<19]), let low = Self.number(bytes[19..<35]), high != 0 || low != 0,
            let parent = Self.number(bytes[36..<52]), parent != 0, let flags = Self.number(bytes[53..<55])
        else { return nil }
        let isLonger = bytes.count > Self.byteCount
        guard !isLonger || version > 0 && bytes[Self.byteCount] == dash else { return nil }
        trace = (high, low)
        self.parent = parent
        // Of a later version, only this flag is known.
        self.flags = UInt8(version == 0 ? flags : flags & 1)
    }

    private static let byteCount = 55

    /// The number in up to 16 hex digits; `nil` if one of them is none, or is in upper case.
    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var number: UInt64 = 0
        for digit in digits {
            guard digit == digit.asciiLowercased, let value = digit.hexDigit else { return nil }
            number = number << 4 | UInt64(value)
        }
        return number
    }

    public static func == (a: Self, b: Self) -> Bool {
        a.trace == b.trace && a.parent == b.parent && a.flags == b.flags
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(trace.high)
        hasher.combine(trace.low)
        hasher.combine(parent)
        hasher.combine(flags)
    }
}

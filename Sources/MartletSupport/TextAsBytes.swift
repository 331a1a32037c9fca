// SPDX-License-Identifier: Apache-2.0

// Text from outside is compared, split and cut byte by byte. Swift's own `==`, `split`, `first`, `hasPrefix` and
// `lowercased` work on characters: a combining mark behind a separator hides it, and two spellings of one text are
// equal (U+212A is `K`, U+037E is `;`). `scripts/lint` finds them. All is inlinable: generic code that is not specialised
// costs many times as much, and every request passes here.

extension StringProtocol {
    /// Whether two texts have the same bytes.
    @inlinable package func isExactly(_ other: some StringProtocol) -> Bool {
        utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
    }

    @inlinable package func startsExactly(with prefix: some StringProtocol) -> Bool {
        // Almost always both are in one piece.
        let isPrefix = utf8.withContiguousStorageIfAvailable { bytes in
            prefix.utf8.withContiguousStorageIfAvailable { prefix in
                bytes.count >= prefix.count && prefix.indices.allSatisfy { bytes[$0] == prefix[$0] }
            }
        }
        return (isPrefix ?? nil) ?? utf8.starts(with: prefix.utf8)
    }

    @inlinable package func endsExactly(with suffix: some StringProtocol) -> Bool {
        utf8.count >= suffix.utf8.count && utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }

    @inlinable package func containsExactly(_ byte: UInt8) -> Bool { utf8.contains(byte) }

    /// The text behind a prefix; `nil` where the text does not begin with it.
    @inlinable package func cutting(prefix: some StringProtocol) -> SubSequence? {
        startsExactly(with: prefix) ? self[utf8.index(startIndex, offsetBy: prefix.utf8.count)...] : nil
    }

    /// The parts between separators, empty ones included.
    ///
    /// - Parameter separator: ASCII, so that no part begins within a scalar.
    @inlinable package func splitExactly(at separator: UInt8, maxSplits: Int = .max) -> [SubSequence] {
        var parts: [SubSequence] = []
        var start = startIndex
        while parts.count < maxSplits, let end = utf8[start...].firstIndex(of: separator) {
            parts.append(self[start..<end])
            start = utf8.index(after: end)
        }
        parts.append(self[start...])
        return parts
    }

    /// The texts before and behind the first separator; `nil` if there is none.
    @inlinable package func cutExactly(at separator: UInt8) -> (before: SubSequence, behind: SubSequence)? {
        guard let index = utf8.firstIndex(of: separator) else { return nil }
        return (self[..<index], self[utf8.index(after: index)...])
    }

    /// The text without the spaces and tabs around it.
    @inlinable package var trimmingBlanks: SubSequence {
        guard let start = utf8.firstIndex(where: { !$0.isBlank }) else { return self[endIndex...] }
        let blanks = utf8.reversed().prefix(while: \.isBlank).count
        return self[start..<utf8.index(startIndex, offsetBy: utf8.count - blanks)]
    }

    /// The text with `A` to `Z` in lower case, and nothing else changed.
    @inlinable package var asciiLowercased: String {
        var text = String(self)
        return text.withUTF8 { bytes in
            String(unsafeUninitializedCapacity: bytes.count) { lower in
                for index in bytes.indices { lower[index] = bytes[index].asciiLowercased }
                return bytes.count
            }
        }
    }

    /// Whether two texts have the same bytes but for the case of ASCII letters.
    @inlinable package func isExactlyIgnoringCase(_ other: some StringProtocol) -> Bool {
        utf8.lazy.map(\.asciiLowercased).elementsEqual(other.utf8.lazy.map(\.asciiLowercased))
    }
}

extension String {
    /// The longest beginning that has at most so many bytes and ends with a whole scalar.
    package func prefix(bytes: Int) -> Substring {
        guard utf8.count > bytes else { return self[...] }
        var end = utf8.index(startIndex, offsetBy: max(0, bytes))
        while end > startIndex, UTF8.isContinuation(utf8[end]) { end = utf8.index(before: end) }
        return self[..<end]
    }

    /// The text, or if it has more than so many bytes, its beginning and an ellipsis.
    package func shortened(toBytes bytes: Int) -> String {
        utf8.count <= bytes ? self : prefix(bytes: bytes) + "…"
    }

    /// The text of some bytes; `nil` if they are not UTF-8. For ASCII it needs none of the generic code of
    /// `String(validating:as:)`, which costs more than the text.
    @inlinable package init?(utf8 bytes: some Collection<UInt8>) {
        let text = bytes.withContiguousStorageIfAvailable { bytes in
            bytes.reduce(0, |) < 0x80
                ? String(decoding: bytes, as: UTF8.self) : String(validating: bytes, as: UTF8.self)
        }
        guard let text = text ?? String(validating: bytes, as: UTF8.self) else { return nil }
        self = text
    }
}

extension UInt8 {
    @inlinable package var asciiLowercased: UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self
    }

    /// A space or a tab.
    @inlinable package var isBlank: Bool { self == 0x20 || self == 0x09 }

    @inlinable package var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}

extension [UInt8] {
    /// Appends the bytes of a text. Quicker than `+=`, which takes them one by one.
    @inlinable package mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(contentsOf: $0) }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What a byte is to the value of an expression. Bytes of one kind are in the same values.
enum TopicByteKind: Int, CaseIterable {
    /// `unreserved` of RFC 3986 section 2.3, and `,`.
    case plain
    case equals, slash, semicolon, ampersand
    /// The rest of `reserved` of RFC 3986 section 2.2.
    case reserved
    /// In no value, unless in a triplet.
    case other

    init(_ byte: UInt8) {
        switch Unicode.Scalar(byte) {
        case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_", "~", ",": self = .plain
        case "=": self = .equals
        case "/": self = .slash
        case ";": self = .semicolon
        case "&": self = .ampersand
        case ":", "?", "#", "[", "]", "@", "!", "$", "'", "(", ")", "*", "+": self = .reserved
        default: self = .other
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Reads a text by the grammar of RFC 6570 section 2, with erratum 6937 (`'` is a literal). Where the grammar asks for
/// something else than what comes next, `read` answers `nil` and `skip` answers `false`.
struct URITemplateParser {
    private var rest: Substring.UnicodeScalarView

    init(_ text: String) { rest = text[...].unicodeScalars }

    mutating func readTemplate() -> [URITemplate.Part]? {
        var parts: [URITemplate.Part] = []
        while !rest.isEmpty {
            let text = rest
            if skip(where: \.isTemplateLiteral) || skipTriplet() {
                for byte in Substring(text[..<rest.startIndex]).utf8 { parts.append(.literal(byte)) }
            } else {
                guard let expression = readExpression() else { return nil }
                parts.append(.expression(expression))
            }
        }
        return parts
    }

    /// `"{" [ operator ] varspec *( "," varspec ) "}"`
    private mutating func readExpression() -> TemplateExpression? {
        guard skip("{") else { return nil }
        var expression = TemplateExpression(readOperator() ?? .simple)
        repeat {
            guard skipName() else { return nil }
            expression.variables += 1
            if skip("*") {
                expression.explodes = true
            } else if skip(":") {
                guard skipLength() else { return nil }
            }
        } while skip(",")
        return skip("}") ? expression : nil
    }

    private mutating func readOperator() -> TemplateOperator? {
        guard let sign = rest.first, let op = TemplateOperator(sign) else { return nil }
        rest.removeFirst()
        return op
    }

    /// `varchar *( ["."] varchar )`
    private mutating func skipName() -> Bool {
        repeat {
            guard skipNameCharacter() else { return false }
            while skipNameCharacter() {}
        } while skip(".")
        return true
    }

    private mutating func skipNameCharacter() -> Bool { skip(where: \.isNameCharacter) || skipTriplet() }

    /// A number from 1 to 9999 that does not begin with 0.
    private mutating func skipLength() -> Bool {
        guard rest.first != "0", skip(where: \.isDigit) else { return false }  // characters: scalars
        var digits = 1
        while digits < 4, skip(where: \.isDigit) { digits += 1 }
        return true
    }

    /// `%` and two hex digits.
    private mutating func skipTriplet() -> Bool {
        guard rest.first == "%" else { return false }  // characters: scalars
        let triplet = rest.prefix(3)
        guard triplet.count == 3 else { return false }  // characters: scalars
        guard triplet.dropFirst().allSatisfy(\.properties.isASCIIHexDigit) else { return false }
        rest.removeFirst(3)
        return true
    }

    private mutating func skip(_ scalar: Unicode.Scalar) -> Bool { skip { $0 == scalar } }

    private mutating func skip(where isWanted: (Unicode.Scalar) -> Bool) -> Bool {
        guard let first = rest.first, isWanted(first) else { return false }
        rest.removeFirst()
        return true
    }
}

extension Unicode.Scalar {
    fileprivate var isDigit: Bool { ("0"..."9").contains(self) }

    fileprivate var isNameCharacter: Bool {
        switch self {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: false
        }
    }

    /// `literals` of RFC 6570 section 2.1, but for triplets.
    fileprivate var isTemplateLiteral: Bool {
        switch self {
        case "\0"..." ", "\"", "%", "<", ">", "\\", "^", "`", "{", "|", "}", "\u{7F}": false
        case "!"..."~": true
        default: isInternational
        }
    }

    /// `ucschar` and `iprivate` of RFC 3987 section 2.2: not C1, noncharacters, U+FFF0 and on, or the tags of plane 14.
    private var isInternational: Bool {
        switch value {
        case 0...0x9F, 0xFDD0...0xFDEF, 0xFFF0...0xFFFF, 0xE_0000...0xE_0FFF: false
        default: value & 0xFFFE != 0xFFFE
        }
    }
}

/// The role of a byte in the value of an expression. Bytes of one kind are in the same values.
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

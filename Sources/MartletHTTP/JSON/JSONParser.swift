// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Parses JSON (RFC 8259) strictly, in linear time. The only way to fail is ``JSONError``, because texts come from the
/// network.
struct JSONParser {
    private let bytes: [UInt8]
    private var index = 0

    init(_ text: some Collection<UInt8>) { bytes = Array(text) }

    mutating func parseDocument() throws(JSONError) -> JSONValue {
        let value = try parseValue(depth: 0)
        skipSpace()
        guard index == bytes.count else { throw error("there is more after the value") }
        return value
    }

    private mutating func parseValue(depth: Int) throws(JSONError) -> JSONValue {
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return try parseObject(depth: depth)
        case UInt8(ascii: "["): return try parseArray(depth: depth)
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try parseNumber())
        default: throw error("a value is missing")
        }
    }

    private mutating func parseObject(depth: Int) throws(JSONError) -> JSONValue {
        try open(depth: depth)
        var members: [String: JSONValue] = [:]
        if take("}") { return .object(members) }
        repeat {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw error("the name of a member is missing") }
            let start = index
            let name = try parseString()
            guard take(":") else { throw error("a colon is missing") }
            // Two names that are equal in Unicode are one key of the dictionary. They are refused, too.
            guard members.updateValue(try parseValue(depth: depth + 1), forKey: name) == nil else {
                throw JSONError(reason: "a member is there twice", offset: start, repeatedMember: name)
            }
        } while take(",")
        guard take("}") else { throw error("a comma or } is missing") }
        return .object(members)
    }

    private mutating func parseArray(depth: Int) throws(JSONError) -> JSONValue {
        try open(depth: depth)
        var elements: [JSONValue] = []
        if take("]") { return .array(elements) }
        repeat { elements.append(try parseValue(depth: depth + 1)) } while take(",")
        guard take("]") else { throw error("a comma or ] is missing") }
        return .array(elements)
    }

    private mutating func open(depth: Int) throws(JSONError) {
        guard depth < JSONValue.maximumDepth else { throw error("it is nested too deep") }
        index += 1
    }

    private mutating func parseWord(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let text = word.description.utf8
        guard bytes[index...].starts(with: text) else { throw error("a value is missing") }
        index += text.count
        return value
    }

    private mutating func parseNumber() throws(JSONError) -> String {
        let start = index
        if peek == UInt8(ascii: "-") { index += 1 }
        if peek == UInt8(ascii: "0") { index += 1 } else { try skipDigits() }
        if peek == UInt8(ascii: ".") {
            index += 1
            try skipDigits()
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            index += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { index += 1 }
            try skipDigits()
        }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private mutating func skipDigits() throws(JSONError) {
        guard peek.isDigit else { throw error("a digit is missing") }
        while peek.isDigit { index += 1 }
    }

    private mutating func parseString() throws(JSONError) -> String {
        let start = index
        index += 1
        // The bytes before an escape; most strings have none.
        var text: [UInt8] = []
        while true {
            let run = takeRun()
            guard index < bytes.count else { throw error("a string has no end") }
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                let string =
                    text.isEmpty
                    ? String(validating: bytes[run], as: UTF8.self)
                    : String(validating: text + bytes[run], as: UTF8.self)
                guard let string else { throw JSONError(reason: "a string is not UTF-8", offset: start) }
                return string
            case UInt8(ascii: "\\"):
                text += bytes[run]
                text += try parseEscape()
            default: throw error("a string has a control character")
            }
        }
    }

    /// Takes the bytes of a string that stand for themselves.
    private mutating func takeRun() -> Range<Int> {
        let start = index
        while index < bytes.count, bytes[index] >= 0x20, bytes[index] != UInt8(ascii: "\""),
            bytes[index] != UInt8(ascii: "\\")
        {
            index += 1
        }
        return start..<index
    }

    /// The UTF-8 of the character that an escape stands for.
    private mutating func parseEscape() throws(JSONError) -> [UInt8] {
        let byte = peek
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"):
            var unit = UInt32(try parseHex())
            if (0xD800..<0xDC00).contains(unit), take("\\", space: false), take("u", space: false) {
                let low = UInt32(try parseHex())
                guard (0xDC00..<0xE000).contains(low) else { throw error("a surrogate stands alone") }
                unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(unit) else { throw error("a surrogate stands alone") }
            return Array(String(scalar).utf8)
        default: throw error("an escape is not one of JSON")
        }
    }

    private mutating func parseHex() throws(JSONError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = peek.hexDigit else { throw error("an escape needs four hex digits") }
            value = value << 4 | UInt16(digit)
            index += 1
        }
        return value
    }

    /// Takes a character, after white space.
    private mutating func take(_ character: Unicode.Scalar, space: Bool = true) -> Bool {
        if space { skipSpace() }
        guard peek == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    private mutating func skipSpace() {
        while peek == 0x20 || peek == 0x0A || peek == 0x0D || peek == 0x09 { index += 1 }
    }

    /// The next byte; 0, which JSON never has outside of strings, at the end.
    private var peek: UInt8 { index < bytes.count ? bytes[index] : 0 }

    private func error(_ reason: String) -> JSONError { JSONError(reason: reason, offset: min(index, bytes.count)) }
}

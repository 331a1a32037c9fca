// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Parses JSON (RFC 8259) strictly, in linear time. The only way to fail is ``JSONError``, because texts come from the
/// network.
struct JSONParser {
    /// The text, and perhaps more in front of it and behind it.
    private let bytes: [UInt8]
    private let start: Int
    private let end: Int
    private var index: Int

    init(_ text: some Collection<UInt8>) {
        bytes = Array(text)
        (start, index, end) = (0, 0, bytes.count)
    }

    /// Parses some of the bytes, without a copy of them.
    init(_ bytes: [UInt8], in range: Range<Int>) {
        self.bytes = bytes
        (start, index, end) = (range.lowerBound, range.lowerBound, range.upperBound)
    }

    mutating func parseDocument() throws(JSONError) -> JSONValue {
        let value = try parseValue(depth: 0)
        try checkEnd()
        return value
    }

    /// Parses a text that is an object, without a dictionary of its members.
    ///
    /// - Parameter add: Takes a member. Returns whether it is the first of its name.
    /// - Returns: `false` if the text is another value.
    mutating func parseObject(
        _ add: (_ name: String, _ value: JSONValue) -> Bool
    ) throws(JSONError) -> Bool {
        skipSpace()
        guard peek == UInt8(ascii: "{") else {
            _ = try parseDocument()
            return false
        }
        try parseMembers(depth: 0, add)
        try checkEnd()
        return true
    }

    private mutating func checkEnd() throws(JSONError) {
        skipSpace()
        guard index == end else { throw error("there is more after the value") }
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
        var members: [String: JSONValue] = [:]
        // Two names that are equal in Unicode are one key of the dictionary. They are refused, too.
        try parseMembers(depth: depth) { name, value in members.updateValue(value, forKey: name) == nil }
        return .object(members)
    }

    private mutating func parseMembers(depth: Int, _ add: (String, JSONValue) -> Bool) throws(JSONError) {
        try open(depth: depth)
        if take("}") { return }
        repeat {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw error("the name of a member is missing") }
            let offset = index - start
            let name = try parseString()
            guard take(":") else { throw error("a colon is missing") }
            guard add(name, try parseValue(depth: depth + 1)) else {
                throw JSONError(reason: "a member is there twice", offset: offset, repeatedMember: name)
            }
        } while take(",")
        guard take("}") else { throw error("a comma or } is missing") }
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
        guard bytes[index..<end].starts(with: text) else { throw error("a value is missing") }
        index += text.count
        return value
    }

    private mutating func parseNumber() throws(JSONError) -> String {
        let first = index
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
        return String(decoding: bytes[first..<index], as: UTF8.self)
    }

    private mutating func skipDigits() throws(JSONError) {
        guard peek.isDigit else { throw error("a digit is missing") }
        while peek.isDigit { index += 1 }
    }

    private mutating func parseString() throws(JSONError) -> String {
        let offset = index - start
        index += 1
        // The bytes before an escape; most strings have none.
        var text: [UInt8] = []
        while true {
            let run = takeRun()
            guard index < end else { throw error("a string has no end") }
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                if !text.isEmpty { text += bytes[run] }
                let string = String(utf8: text.isEmpty ? bytes[run] : text[...])
                guard let string else { throw JSONError(reason: "a string is not UTF-8", offset: offset) }
                return string
            case UInt8(ascii: "\\"):
                text += bytes[run]
                try parseEscape(into: &text)
            default: throw error("a string has a control character")
            }
        }
    }

    /// Takes the bytes of a string that stand for themselves.
    private mutating func takeRun() -> Range<Int> {
        let first = index
        let stop = bytes[first..<end].firstIndex { byte in
            byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
        }
        index = stop ?? end
        return first..<index
    }

    /// Appends the UTF-8 of the character that an escape stands for.
    private mutating func parseEscape(into text: inout [UInt8]) throws(JSONError) {
        let byte = peek
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var unit = UInt32(try parseHex())
            if (0xD800..<0xDC00).contains(unit), take("\\", space: false), take("u", space: false) {
                let low = UInt32(try parseHex())
                guard (0xDC00..<0xE000).contains(low) else { throw error("a surrogate stands alone") }
                unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(unit) else { throw error("a surrogate stands alone") }
            text += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
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
    private var peek: UInt8 { index < end ? bytes[index] : 0 }

    private func error(_ reason: String) -> JSONError { JSONError(reason: reason, offset: min(index, end) - start) }
}

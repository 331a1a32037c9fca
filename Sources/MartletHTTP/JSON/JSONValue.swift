// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A JSON value (RFC 8259). Numbers keep the digits as they were written.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    /// The text of the number, in the syntax of RFC 8259.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The deepest nesting of arrays and objects.
    public static let maximumDepth = 32

    /// - Throws: ``JSONError`` if the text is not one JSON value, an object has a member twice, or the nesting is deeper than
    ///   ``maximumDepth``.
    public init(parsing text: some Collection<UInt8>) throws(JSONError) {
        var parser = JSONParser(text)
        self = try parser.parseDocument()
    }

    /// The member of an object; `nil` if there is none, or this is not an object. Names are compared byte for byte.
    public subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self, let index = members.index(forKey: name),
            members[index].key.isExactly(name)
        else { return nil }
        return members[index].value
    }

    /// Whether this is `null`.
    public var isNull: Bool { self == .null }

    /// The string; `nil` if this is none.
    public var stringValue: String? { if case .string(let text) = self { text } else { nil } }

    /// The Boolean value; `nil` if this is none.
    public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }

    /// The number if it is whole and fits an `Int`, however it is written: `5`, `5.0`, `0.5e1`.
    package var wholeNumber: Int? {
        if case .number(let text) = self { Int(text) ?? Double(text).flatMap { Int(exactly: $0) } } else { nil }
    }

    /// The nearest floating-point number, which may be infinite; `nil` if this is no number.
    public var doubleValue: Double? { if case .number(let text) = self { Double(text) } else { nil } }

    /// The strings of an array of strings; `nil` for anything else.
    public var strings: [String]? {
        guard case .array(let elements) = self else { return nil }
        let strings = elements.compactMap(\.stringValue)
        return strings.count == elements.count ? strings : nil
    }

    /// "a string", for messages.
    package var kind: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONValue {
    /// The value as JSON on one line, the members of objects in the order of their names.
    public var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let number): text += number
        case .string(let string): text += string.jsonQuoted
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += "," }
                element.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { text += "," }
                text += member.key.jsonQuoted + ":"
                member.value.write(to: &text)
            }
            text += "}"
        }
    }
}

/// The reason why a text is not JSON. The description never contains the text.
public struct JSONError: Error, Hashable, CustomStringConvertible, Sendable {
    /// What is wrong: "there is more after the value".
    public let reason: String
    /// The place of the error, in bytes from the beginning of the text.
    public let offset: Int
    /// The name of the member that an object has twice; `nil` for any other error.
    package let repeatedMember: String?

    init(reason: String, offset: Int, repeatedMember: String? = nil) {
        self.reason = reason
        self.offset = offset
        self.repeatedMember = repeatedMember
    }

    public var description: String { "It is not JSON at byte \(offset): \(reason)." }
}

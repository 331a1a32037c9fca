// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import MartletHTTP

@Suite struct JSONValueTests {
    private func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: text.utf8) }

    @Test(
        "JSON is read and written",
        arguments: [
            (" null ", "null"), ("true", "true"), ("false", "false"), ("-0.10e+5", "-0.10e+5"), ("0", "0"),
            (#""\u00e9\ud83d\ude00\/\b""#, #""é😀/\u0008""#), ("[ ]", "[]"), ("{ }", "{}"),
            (#"{"b":[1,{"c":null}],"a":"\\\"" }"#, #"{"a":"\\\"","b":[1,{"c":null}]}"#), ("\t[1 ,\r\n2]", "[1,2]"),
            ("123456789012345678901234567890.10", "123456789012345678901234567890.10"),
        ])
    func jsonIsReadAndWritten(text: String, written: String) throws {
        #expect(try json(text).text == written)
    }

    @Test(
        "Text that is not JSON is refused",
        arguments: [
            "", " ", "nul", "nulll", "True", "01", "-", "1.", ".5", "1e", "+1", "0x1", "NaN", "\"", "\"\\x\"", "\"\n\"",
            "'a'", "[", "[1", "[1,", "[1,]", "[,]", "{", "{\"a\"", "{\"a\":", "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "1 2",
            "[1]]", #""\ud83d""#, #""\ude00""#, #""\ud83d\u0041""#, #""\u12g4""#, #""\u+123""#, "\u{FEFF}1", "//\n1",
            #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, "\u{0}",
        ])
    func whatIsNoJSON(text: String) {
        #expect(throws: JSONError.self) { try json(text) }
    }

    @Test(
        "The error about a repeated member has its name and its offset",
        arguments: [(#"{"a":1,"b":2,"a":3}"#, 13), (#"[{"x":{"a":1,"\u0061":2}}]"#, 13)])
    func errorAboutARepeatedMember(text: String, offset: Int) throws {
        let error = #expect(throws: JSONError.self) { try json(text) }
        #expect(error?.repeatedMember == "a" && error?.offset == offset)
        #expect(error?.description.contains("\"a\"") == false)
    }

    @Test("Names of members are compared byte for byte")
    func namesOfMembersAreCompared() throws {
        // U+212A is the letter K to Swift's ==.
        let value = try json(#"{"\u212Aey":1}"#)
        #expect(value["Key"] == nil)
        #expect(value["\u{212A}ey"] == .number("1"))
        // Two spellings of one name are refused: one of them would hide the other.
        #expect(throws: JSONError.self) { try json(#"{"\u00e9":1,"e\u0301":2}"#) }
    }

    @Test("An object is read member by member as it is read whole, also out of a longer text")
    func objectIsReadMemberByMember() throws {
        var random = SeededGenerator(seed: 20_261_129)
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\":1", "\"\\u0061\"", "1", "null",
            "\"\\n\\ud83d\\ude00x\"", " ", "\\", "\"",
        ]
        var valid = 0
        for _ in 0..<50_000 {
            let middle = (0..<Int.random(in: 0...7, using: &random))
                .map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            let line = Array("{\(middle)}".utf8.dropFirst(Int.random(in: 0..<20, using: &random) == 0 ? 1 : 0))
            let text = Array("\"{".utf8) + line + Array("\"}]1".utf8)
            var parser = JSONParser(text, in: 2..<2 + line.count)
            var members: [String: JSONValue] = [:]
            let found = Result { () throws(JSONError) in
                let isObject = try parser.parseObject { members.updateValue($1, forKey: $0) == nil }
                return isObject ? JSONValue.object(members) : nil
            }
            let whole = Result { () throws(JSONError) in try JSONValue(parsing: line) }
            switch (found, whole) {
            case (.success(let found?), .success(let whole)):
                valid += 1
                #expect(found == whole)
            case (.success(nil), .success(let whole)): #expect(whole.kind != "an object")
            case (.failure(let found), .failure(let whole)): #expect(found == whole)
            default: Issue.record("\(String(decoding: line, as: UTF8.self))")
            }
        }
        #expect(valid > 1000)
    }

    @Test("Bytes that are not UTF-8 are refused")
    func bytesThatAreNotUTF() {
        for bytes: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] {
            #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22] + bytes + [0x22]) }
        }
    }

    @Test("Values are nested 32 deep at most")
    func valuesAreNested32Deep() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try json(nested(JSONValue.maximumDepth))
        #expect(throws: JSONError.self) { try json(nested(JSONValue.maximumDepth + 1)) }
        #expect(throws: JSONError.self) { try json(String(repeating: "{\"a\":", count: 100_000)) }
    }

    @Test("Random texts are read as Foundation reads them")
    func randomTextsAreRead() throws {
        var random = SeededGenerator(seed: 20_261_124)
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "1", "-2.5", "null", "true", " ", "0", "\\", "\"",
        ]
        var valid = 0
        for _ in 0..<50_000 {
            let text = (0..<Int.random(in: 1...9, using: &random))
                .map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            let value = try? json(text)
            let other = try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
            // Only here is a member that is there twice an error, and a comma before the end of an array or object.
            let packed = text.replacing(" ", with: "")
            if value == nil, other != nil, [":", ",]", ",}"].contains(where: packed.contains) { continue }
            #expect((value == nil) == (other == nil), "\(text)")
            if let value {
                valid += 1
                #expect(try json(value.text) == value)
            }
        }
        #expect(valid > 1000)
    }
}

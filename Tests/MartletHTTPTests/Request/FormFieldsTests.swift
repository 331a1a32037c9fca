// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletHTTP
import TestSupport
import Testing

@Suite struct FormFieldsTests {
    private func parse(_ text: String) throws(Problem) -> [[String]] {
        try FormFields(text.utf8, maximumCount: 5).all.map { [$0.name, $0.value] }
    }

    @Test("Fields are decoded in their order, repetitions and all")
    func fieldsAreDecodedInTheir() throws {
        #expect(try parse("").isEmpty)
        #expect(try parse("&&").isEmpty)
        #expect(try parse("a=1&b=2&a=3") == [["a", "1"], ["b", "2"], ["a", "3"]])
        #expect(try parse("a&=b&=&c==d") == [["a", ""], ["", "b"], ["", ""], ["c", "=d"]])
        #expect(try parse("a+b=%2B+%26%3d%0A") == [["a b", "+ &=\n"]])
        #expect(try parse("a=%C3%A9\u{E9}&%61=1") == [["a", "\u{E9}\u{E9}"], ["a", "1"]])
    }

    @Test(
        "Bad encoding is refused and the field named",
        arguments: ["a=%", "a=%4", "a=%4g", "a=1&a=%zz", "a=%FF", "a=%C3", "a=%C0%80", "a=%ED%A0%80"])
    func badEncodingIsRefused(text: String) {
        let problem = #expect(throws: Problem.self) { try parse(text) }
        #expect(problem?.status == .badRequest && problem?.field == "a")
    }

    @Test("The number of fields is bounded")
    func numberOfFieldsIsBounded() throws {
        #expect(try parse("a&a&a&a&a").count == 5)
        #expect(throws: Problem.self) { try parse("a&a&a&a&a&%") }
    }

    @Test("Encoded text is read back")
    func whatAnEncoderWrites() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2_000 {
            let pairs = (0..<Int.random(in: 0...5, using: &random)).map { _ in
                [String.random(using: &random), String.random(using: &random)]
            }
            let text = pairs.map { $0.map(Self.encode).joined(separator: "=") }.joined(separator: "&")
            let read = try parse(text).flatMap { $0 }.map { Array($0.utf8) }
            try #require(read == pairs.flatMap { $0 }.map { Array($0.utf8) }, "seed \(seed): \(text)")
        }
    }

    /// The serializer of the WHATWG URL standard, section 5.2.
    private static func encode(_ text: String) -> String {
        text.utf8.map { byte in
            switch Unicode.Scalar(byte) {
            case "a"..."z", "A"..."Z", "0"..."9", "*", "-", ".", "_": String(Unicode.Scalar(byte))
            case " ": "+"
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }.joined()
    }
}

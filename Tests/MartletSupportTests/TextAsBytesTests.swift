// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import Testing

@Suite struct TextAsBytesTests {
    @Test(
        "A text is split at a byte also where a combining mark follows it",
        arguments: ["\u{301}x", "\u{200D}x", "\u{FE0F}x", "\u{1F3FB}x"])
    func splits(behind: String) {
        #expect("a \(behind)".splitExactly(at: 0x20).map { Array($0.utf8) } == [Array("a".utf8), Array(behind.utf8)])
        #expect("a \(behind)".cutExactly(at: 0x20)?.behind.isExactly(behind) == true)
        #expect("a \(behind)".cutting(prefix: "a ")?.isExactly(behind) == true)
    }

    @Test("Empty parts are kept, and what is behind the last split stays whole")
    func keepsEmptyParts() {
        #expect("".splitExactly(at: 0x20) == [""])
        #expect(" a  b ".splitExactly(at: 0x20) == ["", "a", "", "b", ""])
        #expect("a b c".splitExactly(at: 0x20, maxSplits: 1) == ["a", "b c"])
    }

    @Test(
        "Two spellings of one text are two texts",
        arguments: [("K", "\u{212A}"), (";", "\u{37E}"), ("\u{E9}", "e\u{301}")])
    func tellsSpellingsApart(a: String, b: String) {
        #expect(a == b)
        #expect(!a.isExactly(b))
        #expect(!a.isExactlyIgnoringCase(b))
        #expect(!b.startsExactly(with: a))
        #expect(!b.endsExactly(with: a))
        #expect(b.cutExactly(at: a.utf8.first!) == nil)
    }

    @Test("Only ASCII letters have a lower case")
    func lowersASCII() {
        #expect("Ab\u{212A}\u{C9}".asciiLowercased.isExactly("ab\u{212A}\u{C9}"))
        #expect("COOKIE".isExactlyIgnoringCase("cookie"))
    }

    @Test("Blanks around a text go", arguments: [(" \ta b\t", "a b"), ("", ""), (" \t", ""), ("\u{301}", "\u{301}")])
    func trims(text: String, trimmed: String) { #expect(text.trimmingBlanks.isExactly(trimmed)) }
}

// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Martlet

@Suite struct TemplateCensusTests {
    private func templates(_ texts: String...) -> [TopicSelector] { texts.map { TopicSelector($0) } }

    @Test("So many templates with the same literal text are accepted, and one more is refused")
    func soManyTemplates() throws {
        var census = TemplateCensus(mostAlike: 2)
        try census.insert(templates("{a}/orders", "{+b}/orders", "users/7/{x}", "*", "a"))
        // The same again is no other.
        try census.insert(templates("{a}/orders"))
        let error = #expect(throws: MartletError.self) { try census.insert(templates("users/8/{x}", "{c}/orders")) }
        #expect(error?.code == .invalidSubscription && error?.field == "topic")
        #expect(error?.message.contains("{c}/orders") == true)
        #expect(census.count == 3)
        try census.insert(templates("{c}/bills"))
    }

    @Test("A template counts for as long as any feed asks for it")
    func templateCountsForAsLong() throws {
        var census = TemplateCensus(mostAlike: 1)
        try census.insert(templates("{a}"))
        try census.insert(templates("{a}"))
        census.remove(templates("{a}"))
        #expect(throws: MartletError.self) { try census.insert(templates("{b}")) }
        census.remove(templates("{a}"))
        try census.insert(templates("{b}"))
        census.remove(templates("{b}"))
        #expect(census.count == 0)
    }

    @Test("Templates of which the text between is different are not alike")
    func templatesOfWhichTheText() throws {
        var census = TemplateCensus(mostAlike: 1)
        let (long, longer) = (String(repeating: "x", count: 20), String(repeating: "x", count: 40))
        for text in ["{a}1{b}", "{a}2{b}", "{a}1{b}2{c}", "{a}\(long){b}", "{a}\(longer){b}", "p{a}", "{a}s"] {
            try census.insert(templates(text))
        }
        #expect(throws: MartletError.self) { try census.insert(templates("{+other}1{x,y}")) }
    }
}

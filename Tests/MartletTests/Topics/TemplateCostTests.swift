// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

/// A match costs the length of the topic times the words that the states fill, at most: for each byte the words are
/// gone through a fixed number of times. So the states are what there is to count.
@Suite struct TemplateCostTests {
    private func automaton(_ text: String) throws -> TemplateAutomaton {
        TemplateAutomaton(try #require(URITemplate(text)))
    }

    @Test("There is at most one state more than bytes in the template")
    func thereIsAtMostOne() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<1_000 {
            let text = TemplateModel.random(using: &random).description
            guard text.contains("{") else { continue }
            try #require(try automaton(text).stateCount <= text.utf8.count + 1, "seed \(seed): \(text)")
        }
    }

    @Test(
        "A long template has 65 words of states at most, and knows a topic that ends badly",
        arguments: ["{a}", "{/a}", "{a*}", "{+a}a", "{?a*}", "{/a,b,c}", "{;a,b}{/c}", "\u{E9}{a}"])
    func longTemplateHas65Words(unit: String) throws {
        let text = String(repeating: unit, count: 4096 / unit.utf8.count)
        #expect(try automaton(text).stateCount <= 4097)
        let selector = TopicSelector(text)
        #expect(selector.exactTopic == nil)
        for end in ["!", "%", "\u{E9}", " "] where unit != "{+a}a" || end != "!" {
            #expect(!selector.matches(try Topic(String(repeating: "a", count: 4095) + end)))
        }
    }

    @Test("All values of all expressions are taken at once")
    func allValuesOfAllExpressions() throws {
        let simple = TopicSelector(String(repeating: "{a}", count: 1365))
        #expect(simple.matches(try Topic(String(repeating: "a", count: 4096))))
        #expect(simple.matches(try Topic(String(repeating: "%2F", count: 1365))))
        #expect(!simple.matches(try Topic(String(repeating: "%2F", count: 1365) + "%2")))
        let paths = TopicSelector(String(repeating: "{/a}", count: 1024))
        #expect(paths.matches(try Topic(String(repeating: "/a", count: 1024))))
        #expect(!paths.matches(try Topic(String(repeating: "/a", count: 1025))))
        let literals = TopicSelector(String(repeating: "{a}a", count: 1024))
        #expect(literals.matches(try Topic(String(repeating: "a", count: 1024))))
        #expect(!literals.matches(try Topic(String(repeating: "a", count: 1023))))
    }

    @Test("Any number of expressions may stand for nothing")
    func anyNumberOfExpressionsMay() throws {
        for unit in ["{a}", "{/a}", "{?a,b}"] {
            let selector = TopicSelector(String(repeating: unit, count: 500) + "!")
            #expect(selector.matches("!"))
            #expect(!selector.matches("!!"))
            #expect(!selector.matches("#!"))
        }
        let paths = TopicSelector(String(repeating: "{/a}", count: 500) + "!")
        for count in [1, 31, 32, 33, 100, 499, 500, 501] {
            #expect(paths.matches(try Topic(String(repeating: "/%2F", count: count) + "!")) == (count <= 500))
        }
    }

    @Test("An expression of n variables gives n values", arguments: [1, 2, 62, 63, 64, 65, 127, 128, 2000])
    func expressionOfNVariablesGives(count: Int) throws {
        let names = (1...count).map { "v\($0)" }.joined(separator: ",")
        for (sign, separator) in [("/", "/"), (";", ";"), ("?", "&"), ("&", "&")] {
            let text = "{\(sign)\(names)}"
            #expect(try automaton(text).stateCount == count + 2)
            let selector = TopicSelector(text)
            let values = [String](repeating: "a", count: count).joined(separator: separator)
            #expect(selector.matches(try Topic(sign + values)))
            #expect(!selector.matches(try Topic(sign + values + separator + "a")))
        }
    }

    /// Words hold 64 states; so every expression comes to stand across the edge of one.
    @Test("An expression stands anywhere in the template", arguments: 55...70)
    func expressionStandsAnywhere(length: Int) throws {
        let literal = String(repeating: "x", count: length)
        for template in ["{/a,b}{c}{.d}y{?e*}", "{a}{b}{c}z", "{/a}{/b}{/c}"] {
            let model = TemplateModel(literal + template)
            let selector = TopicSelector(literal + template)
            for end in ["", "y", "z", "/a", "/a/b/c", "/a/by", "/a/b.cy?d=e&f", "a%2Fz", "/a/b/c/d", "%2Fy", "x"] {
                #expect(
                    selector.matches(try Topic(literal + end)) == model.matches(literal + end), "\(template) \(end)")
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

/// What holds for any template, against a model of it that expands and matches by the letter of the RFC.
@Suite struct TemplatePropertyTests {
    @Test("An example of the RFC expands and is selected", arguments: TemplateExamples.all)
    func exampleOfTheRFCExpands(template: String, expansion: String) throws {
        let model = TemplateModel(template)
        #expect(model.description == template)
        #expect(model.expand(TemplateExamples.values) == expansion)
        #expect(model.matches(expansion))
        #expect(TopicSelector(template).matches(try Topic(expansion)))
    }

    @Test("A template selects whatever it expands to")
    func templateSelectsWhateverItExpands() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<1_000 {
            let model = TemplateModel.random(using: &random)
            let values = TemplateValue.randomValues(using: &random)
            guard let topic = try? Topic(model.expand(values)) else { continue }
            let selector = TopicSelector(model.description)
            try #require(selector.exactTopic == nil || !model.hasExpression, "seed \(seed): \(selector)")
            try #require(selector.matches(topic), "seed \(seed): \(selector) \(topic)")
        }
    }

    @Test("A template selects what the model does")
    func templateSelectsWhatTheModel() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var selected = 0
        for _ in 0..<1_000 {
            let model = TemplateModel.random(using: &random)
            let selector = TopicSelector(model.description)
            for _ in 0..<4 {
                let text = model.expand(TemplateValue.randomValues(using: &random)).mutated(using: &random)
                guard let topic = try? Topic(text), text != selector.text else { continue }
                let isSelected = model.matches(text)
                try #require(selector.matches(topic) == isSelected, "seed \(seed): \(selector) \(topic)")
                selected += isSelected ? 1 : 0
            }
        }
        #expect((1_000...3_500).contains(selected), "seed \(seed)")
    }

    @Test("Short topics are selected as by the model, all of them", arguments: ["", "+", "#", ".", "/", ";", "?", "&"])
    func shortTopicsAreSelected(sign: String) throws {
        let pieces = ["a", "%2F", "%", ",", "=", "/", ".", ";", "&", "?", "#", ":", "\u{E9}"]
        var topics = [""]
        for _ in 0..<3 { topics += topics.flatMap { topic in pieces.map { topic + $0 } } }
        let unique = Set(topics).subtracting([""])
        for template in [
            "{\(sign)a}", "{\(sign)a,b}", "{\(sign)a*}", "{\(sign)a}a{\(sign)b*}", "{\(sign)a,b*}{\(sign)c}",
        ] {
            let model = TemplateModel(template)
            let selector = TopicSelector(template)
            for text in unique {
                #expect(selector.matches(try Topic(text)) == model.matches(text), "\(template) \(text)")
            }
        }
    }
}

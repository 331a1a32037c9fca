// SPDX-License-Identifier: Apache-2.0

import TestSupport

extension TemplateModel {
    var hasExpression: Bool { parts.contains { if case .expression = $0 { true } else { false } } }

    static func random(using random: inout SeededGenerator) -> TemplateModel {
        TemplateModel(
            (0..<Int.random(in: 1...6, using: &random)).map { _ in
                if Int.random(in: 0..<3, using: &random) == 0 {
                    .literal(
                        ["a", "/", ".", ";b", "?", "&", "#", "%41", "\u{E9}", "41", ",", "="].pick(using: &random))
                } else {
                    .expression(.random(using: &random))
                }
            })
    }
}

extension TemplateModel.Expression {
    static func random(using random: inout SeededGenerator) -> Self {
        let sign = ["", "+", "#", ".", "/", ";", "?", "&"].pick(using: &random)
        let variables = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            let form = Int.random(in: 0..<6, using: &random)
            return TemplateModel.Variable(
                name: TemplateValue.names.pick(using: &random), explodes: form == 0, length: form == 1 ? 2 : nil)
        }
        return Self(sign: sign, variables: variables)
    }
}

extension TemplateValue {
    fileprivate static let names = ["a", "b", "c", "x.y", "%41"]

    /// A value for some of the variables of random templates.
    static func randomValues(using random: inout SeededGenerator) -> [String: TemplateValue] {
        var values: [String: TemplateValue] = [:]
        for name in names {
            let count = Int.random(in: 0...3, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: values[name] = .list((0..<count).map { _ in .randomValue(using: &random) })
            case 1:
                values[name] = .pairs(
                    (0..<count).map { _ in (.randomValue(using: &random), .randomValue(using: &random)) })
            case 2: break
            default: values[name] = .text(.randomValue(using: &random))
            }
        }
        return values
    }
}

extension String {
    private static let pieces = [
        "a", "a", "b", "41", "%", "%41", ",", "=", "/", ".", ";", "&", "?", "#", ":", " ", "\u{E9}", "{", "}",
    ]

    static func randomValue(using random: inout SeededGenerator) -> String {
        (0..<Int.random(in: 0...4, using: &random)).map { _ in pieces.pick(using: &random) }.joined()
    }

    /// The text, with a few places of it changed about half of the time.
    func mutated(using random: inout SeededGenerator) -> String {
        var scalars = Array(unicodeScalars)
        for _ in 0..<max(0, Int.random(in: -2...2, using: &random)) {
            let place = Int.random(in: 0...scalars.count, using: &random)
            if Bool.random(using: &random), place < scalars.count { scalars.remove(at: place) }
            if Bool.random(using: &random), place <= scalars.count {
                scalars.insert(contentsOf: Self.pieces.pick(using: &random).unicodeScalars, at: place)
            }
        }
        var text = ""
        text.unicodeScalars += scalars
        return text
    }
}

extension Array {
    fileprivate func pick(using random: inout SeededGenerator) -> Element {
        self[Int.random(in: indices, using: &random)]
    }
}

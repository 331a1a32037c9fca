// SPDX-License-Identifier: Apache-2.0

/// The value of a variable, of RFC 6570 section 2.3. `nil` is the undefined one.
enum TemplateValue: Sendable {
    case text(String)
    case list([String])
    case pairs([(String, String)])
}

extension TemplateModel {
    /// Expands the template by RFC 6570 section 3.2.1. Literals stay as they are.
    func expand(_ values: [String: TemplateValue]) -> String {
        parts.map { part in
            switch part {
            case .literal(let text): text
            case .expression(let expression): expression.expand(values)
            }
        }.joined()
    }
}

extension TemplateModel.Expression {
    func expand(_ values: [String: TemplateValue]) -> String {
        let texts = variables.flatMap { variable in values[variable.name].map { expand(variable, $0) } ?? [] }
        return texts.isEmpty ? "" : first + texts.joined(separator: String(separator))
    }

    /// Empty where the value counts as undefined.
    private func expand(_ variable: TemplateModel.Variable, _ value: TemplateValue) -> [String] {
        switch value {
        case .text(let text):
            let prefix =
                variable.length.map { String(String.UnicodeScalarView(text.unicodeScalars.prefix($0))) } ?? text
            return [named(variable.name, encode(prefix))]
        case .list(let items) where variable.explodes:
            return items.map { isNamed ? named(variable.name, encode($0)) : encode($0) }
        case .pairs(let pairs) where variable.explodes:
            return pairs.map { key, item in
                isNamed ? named(encode(key), encode(item)) : "\(encode(key))=\(encode(item))"
            }
        case .list(let items):
            return items.isEmpty ? [] : [named(variable.name, items.map(encode).joined(separator: ","))]
        case .pairs(let pairs):
            let items = pairs.flatMap { [$0, $1] }
            return items.isEmpty ? [] : [named(variable.name, items.map(encode).joined(separator: ","))]
        }
    }

    private func named(_ name: String, _ text: String) -> String {
        guard isNamed else { return text }
        return text.isEmpty && sign == ";" ? name : "\(name)=\(text)"
    }

    private func encode(_ text: String) -> String {
        let allowed = Self.unreserved + (allowsReserved ? Self.reserved : "")
        return text.unicodeScalars.map { scalar in
            if allowed.unicodeScalars.contains(scalar) { return String(scalar) }
            return String(scalar).utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }
                .joined()
        }.joined()
    }
}

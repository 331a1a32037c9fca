// SPDX-License-Identifier: Apache-2.0

/// What matching needs of a URI template (RFC 6570): its literal bytes and its expressions, in their order.
struct URITemplate {
    enum Part {
        /// A byte of the literal text. It stands for itself.
        case literal(UInt8)
        case expression(TemplateExpression)
    }

    let parts: [Part]

    /// `nil` where the text has no expression, or departs from the grammar anywhere.
    init?(_ text: String) {
        guard text.utf8.contains(UInt8(ascii: "{")) else { return nil }
        var parser = URITemplateParser(text)
        guard let parts = parser.readTemplate() else { return nil }
        self.parts = parts
    }

    private init(parts: some Sequence<Part>) { self.parts = Array(parts) }

    /// The literal text before, between and behind the expressions: one piece more than there are expressions. A piece
    /// may be empty, and has percent-encoded triplets only as a whole.
    var literals: [[UInt8]] {
        parts.reduce(into: [[]]) { literals, part in
            switch part {
            case .literal(let byte): literals[literals.count - 1].append(byte)
            case .expression: literals.append([])
            }
        }
    }

    /// The template from its first expression to its last.
    var middle: URITemplate {
        URITemplate(parts: parts.drop(while: \.isLiteral).reversed().drop(while: \.isLiteral).reversed())
    }
}

extension URITemplate.Part {
    fileprivate var isLiteral: Bool { if case .literal = self { true } else { false } }
}

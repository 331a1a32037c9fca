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
}

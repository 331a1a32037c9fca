// SPDX-License-Identifier: Apache-2.0

/// The parts of a URI template that matching needs (RFC 6570): its literal bytes and its expressions, in their order.
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

/// An expression of a URI template, by what it may stand for in a topic.
///
/// With n variables it stands for nothing, or for a text of the form
///
///     {a}     V
///     {+a}    R
///     {#a}    "#" R
///     {.a}    "." V
///     {/a}    "/" V, then at most n - 1 times "/" V
///     {;a}    ";" N, then at most n - 1 times ";" N
///     {?a}    "?" N, then at most n - 1 times "&" N
///     {&a}    "&" N, then at most n - 1 times "&" N
///
/// where V is any number (0 too) of unreserved characters (RFC 3986 section 2.3), `,` and triplets `%HH`; N is that and
/// `=`; R is that and all reserved characters (RFC 3986 section 2.2). The first four have no further values because
/// their separators are in V and R. If any of the variables is exploded (`{/a*}`), each V is an N, and the values that
/// follow the first are any number.
///
/// Every expansion by RFC 6570 section 3.2 has this form. Others have it too: nothing is known of the values, so the
/// names of variables are not looked at, nor are prefix lengths (`{a:3}`). A byte that an expansion percent-encodes is not in
/// it as it is, such as `/` in a V, or what is not ASCII anywhere.
struct TemplateExpression {
    let op: TemplateOperator
    var variables = 0
    /// Whether any of the variables does.
    var explodes = false

    init(_ op: TemplateOperator) { self.op = op }

    /// Whether bytes of this kind are in values. The separator is, too, where values may be any number.
    func keeps(_ kind: TopicByteKind) -> Bool {
        switch kind {
        case .plain: true
        case .other: false
        case _ where op.allowsReserved: true
        case .equals: op.isNamed || explodes
        case .reserved: false
        case .slash, .semicolon, .ampersand: explodes && kind == TopicByteKind(op.separator)
        }
    }

    /// How many values have to be told apart: 1 where the separator is as good as a part of them.
    var values: Int { keeps(TopicByteKind(op.separator)) ? 1 : variables }
}

/// The meaning of the sign at the head of an expression, by the table of RFC 6570 appendix A.
struct TemplateOperator {
    /// The text before the first value, when there is one.
    let first: UInt8?
    /// The text between two values.
    let separator: UInt8
    /// Whether a value comes as `name=value`.
    let isNamed: Bool
    /// Whether the reserved characters stand in values as they are.
    let allowsReserved: Bool

    static let simple = TemplateOperator()

    /// `nil` where the scalar is no operator. `=`, `,`, `!`, `@` and `|`, which the RFC keeps for later, are none.
    init?(_ sign: Unicode.Scalar) {
        switch sign {
        case "+": self.init(allowsReserved: true)
        case "#": self.init(first: "#", allowsReserved: true)
        case ".": self.init(first: ".", separator: ".")
        case "/": self.init(first: "/", separator: "/")
        case ";": self.init(first: ";", separator: ";", isNamed: true)
        case "?": self.init(first: "?", separator: "&", isNamed: true)
        case "&": self.init(first: "&", separator: "&", isNamed: true)
        default: return nil
        }
    }

    private init(
        first: Unicode.Scalar? = nil, separator: Unicode.Scalar = ",", isNamed: Bool = false,
        allowsReserved: Bool = false
    ) {
        self.first = first.map { UInt8(ascii: $0) }
        self.separator = UInt8(ascii: separator)
        self.isNamed = isNamed
        self.allowsReserved = allowsReserved
    }
}

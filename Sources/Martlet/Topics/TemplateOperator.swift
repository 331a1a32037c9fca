// SPDX-License-Identifier: Apache-2.0

/// What the sign at the head of an expression says about its expansion, by the table of RFC 6570 appendix A.
struct TemplateOperator {
    /// What comes before the first value, when there is one.
    let first: UInt8?
    /// What comes between two values.
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

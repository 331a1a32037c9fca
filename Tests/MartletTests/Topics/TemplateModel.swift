// SPDX-License-Identifier: Apache-2.0

/// A URI template as the RFC describes it, apart from the code under test: to write it, to expand it, and to match it
/// slowly.
struct TemplateModel: Sendable, CustomStringConvertible {
    enum Part: Sendable {
        case literal(String)
        case expression(Expression)
    }

    struct Expression: Sendable {
        /// Empty for simple expansion.
        var sign = ""
        var variables: [Variable]
    }

    struct Variable: Sendable {
        var name: String
        var explodes = false
        var length: Int?
    }

    var parts: [Part]

    var description: String {
        parts.map { part in
            switch part {
            case .literal(let text): text
            case .expression(let expression):
                "{\(expression.sign)\(expression.variables.map(\.text).joined(separator: ","))}"
            }
        }.joined()
    }

    init(_ parts: [Part]) { self.parts = parts }

    /// Takes a valid template apart.
    init(_ text: String) {
        parts = text.split(separator: "{", omittingEmptySubsequences: false).enumerated().flatMap { index, piece in
            guard index > 0 else { return [Part.literal(String(piece))] }
            let halves = piece.split(separator: "}", omittingEmptySubsequences: false)
            return [.expression(Expression(halves[0])), .literal(String(halves[1]))]
        }
    }
}

extension TemplateModel.Expression {
    /// RFC 3986 sections 2.3 and 2.2.
    static let unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    static let reserved = ":/?#[]@!$&'()*+,;="

    init(_ text: Substring) {
        let sign = text.prefix { "+#./;?&".contains($0) }
        self.init(sign: String(sign), variables: text.dropFirst(sign.count).split(separator: ",").map { .init($0) })
    }

    /// RFC 6570 appendix A.
    var first: String { sign == "+" ? "" : sign }
    var separator: Character {
        switch sign {
        case "", "+", "#": ","
        case "?": "&"
        default: Character(sign)
        }
    }
    var isNamed: Bool { [";", "?", "&"].contains(sign) }
    var allowsReserved: Bool { ["+", "#"].contains(sign) }
    var explodes: Bool { variables.contains(where: \.explodes) }
}

extension TemplateModel.Variable {
    init(_ text: Substring) {
        let pieces = text.split(separator: ":")
        let name = pieces[0].filter { $0 != "*" }
        self.init(name: name, explodes: name.count < pieces[0].count, length: pieces.count > 1 ? Int(pieces[1]) : nil)
    }

    var text: String { name + (explodes ? "*" : "") + (length.map { ":\($0)" } ?? "") }
}

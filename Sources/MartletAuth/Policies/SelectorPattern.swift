// SPDX-License-Identifier: Apache-2.0

package import Martlet
import MartletHTTP
import MartletSupport

/// A selector in a policy file, with claims of the token in it: `users/${sub}` and `users/${sub}/orders/{id}`.
///
/// `${` always begins the name of a claim. The value of a claim is plain text: it becomes neither `*` nor a template, and
/// stays within its segment of the path.
struct SelectorPattern: Sendable {
    private enum Piece {
        case text(String)
        case claim(String)
    }

    private let pieces: [Piece]
    /// Whether the text around the claims is a template.
    private let isTemplate: Bool
    /// The selector, if it has no claims.
    private let fixed: TopicSelector?

    /// - Parameter path: The place of the text in its file.
    /// - Throws: ``PolicyError`` if the text is no selector, or does not select what it seems to select.
    init(_ text: String, at path: String) throws(PolicyError) {
        var pieces: [Piece] = []
        var rest = text[...]
        while let start = rest.utf8.firstRange(of: "${".utf8) {
            guard let (name, behind) = rest[start.upperBound...].cutExactly(at: UInt8(ascii: "}")), !name.isEmpty else {
                throw PolicyError(path, "\"${\" begins the name of a claim, and \"}\" must end it, as in users/${sub}.")
            }
            pieces.append(.text(String(rest[..<start.lowerBound])))
            pieces.append(.claim(String(name)))
            rest = behind
        }
        pieces.append(.text(String(rest)))
        self.pieces = pieces
        // Values have no braces, so any value shows whether the whole text is a template.
        let selector = TopicSelector(Self.join(pieces) { "$\($0)" } ?? "")
        isTemplate = !selector.isWildcard && selector.exactTopic == nil
        fixed = pieces.count == 1 ? selector : nil
        if let warning = SelectorAdvice(selector).warning { throw PolicyError(path, warning) }
    }

    /// The selector for a token; `nil` if a claim is missing or cannot be part of a topic: it must be a string or a number,
    /// not empty, and without `/ ? # * { }` and control characters.
    func selector(for claims: JSONValue) -> TopicSelector? {
        if let fixed { return fixed }
        guard let text = Self.join(pieces, { Self.value(of: claims.claim($0)) }) else { return nil }
        guard isTemplate else { return (try? Topic(text)).map { TopicSelector($0) } }
        let selector = TopicSelector(text)
        // With a value that no template can have, the whole text would be a name.
        return selector.exactTopic == nil ? selector : nil
    }

    private static func join(_ pieces: [Piece], _ value: (String) -> String?) -> String? {
        var text = ""
        for piece in pieces {
            switch piece {
            case .text(let part): text += part
            case .claim(let name):
                guard let value = value(name) else { return nil }
                text += value
            }
        }
        return text
    }

    private static func value(of claim: JSONValue?) -> String? {
        let text: String
        switch claim {
        case .string(let string): text = string
        case .number(let number): text = number
        default: return nil
        }
        let isUsable = text.unicodeScalars.allSatisfy { scalar in
            scalar.properties.generalCategory != .control && !"/?#*{}".unicodeScalars.contains(scalar)
        }
        return isUsable && !text.isEmpty ? text : nil
    }
}

extension JSONValue {
    /// A claim by its name, or otherwise by its path: `realm_access.roles`.
    func claim(_ name: String) -> JSONValue? {
        if let claim = self[name] { return claim }
        let parts = name.splitExactly(at: UInt8(ascii: "."))
        guard parts.count > 1 else { return nil }
        var value = self
        for part in parts {
            guard let member = value[String(part)] else { return nil }
            value = member
        }
        return value
    }
}

/// Explains what a selector selects, and warns if its author probably meant something else.
package struct SelectorAdvice: Hashable, Sendable {
    /// "every topic".
    package let meaning: String
    /// What is wrong and what to write instead; `nil` if nothing is wrong.
    package let warning: String?

    package init(_ selector: TopicSelector) {
        let text = selector.text
        if selector.isWildcard {
            meaning = "every topic"
            warning = nil
            return
        }
        let isTemplate = selector.exactTopic == nil && text.containsExactly(UInt8(ascii: "{"))
        meaning = isTemplate ? "the topics that match the template" : "this topic and no other"
        if !isTemplate, selector.exactTopic == nil {
            warning = "This is no topic. A topic is not empty, and has no control characters."
        } else if !isTemplate, text.utf8.contains(where: "{}".utf8.contains) {
            warning = "This is a name and no URI template (RFC 6570). Write expressions as in orders/{id}."
        } else if let template = Self.template(for: text) {
            warning = "A * is no wildcard here. Write \(template) for a template, or * alone for every topic."
        } else {
            warning = nil
        }
    }

    /// The template for a pattern with `*`, as other systems write it; `nil` if the text has no `*` outside of expressions.
    /// `**` also matches slashes, as `{+rest}` does.
    private static func template(for text: String) -> String? {
        let star = UInt8(ascii: "*")
        var template: [UInt8] = []
        var count = 0
        var depth = 0
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case star where depth == 0:
                count += 1
                let goesOn = rest.first == star
                rest = rest.drop { $0 == star }
                let name = (goesOn ? "rest" : "id") + (count == 1 ? "" : "\(count)")
                template += (goesOn ? "{+\(name)}" : "{\(name)}").utf8
            default:
                if byte == UInt8(ascii: "{") { depth += 1 }
                if byte == UInt8(ascii: "}") { depth -= 1 }
                template.append(byte)
            }
        }
        return count > 0 ? String(decoding: template, as: UTF8.self) : nil
    }
}

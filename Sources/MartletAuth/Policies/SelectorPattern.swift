// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP
import MartletSupport

/// A selector in a policy file, with claims of the token in it: `users/${sub}` and `users/${sub}/orders/{id}`.
///
/// `${` always begins the name of a claim. What a claim says is only ever text: it makes neither a `*` nor a template,
/// and does not reach beyond its part of the path.
struct SelectorPattern: Sendable {
    private enum Piece {
        case text(String)
        case claim(String)
    }

    private let pieces: [Piece]
    /// Whether the text besides the claims is a template.
    private let isTemplate: Bool
    /// The selector, where no claim is in it.
    private let fixed: TopicSelector?

    /// - Parameter path: Where the text is in its file.
    /// - Throws: ``PolicyError`` where it is no selector, or one that does not select what it looks as if it did.
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
        // A value has no braces, so whether the whole is a template shows with any value.
        let selector = TopicSelector(Self.join(pieces) { "$\($0)" } ?? "")
        isTemplate = !selector.isWildcard && selector.exactTopic == nil
        fixed = pieces.count == 1 ? selector : nil
        if let warning = SelectorAdvice(selector).warning { throw PolicyError(path, warning) }
    }

    /// The selector for somebody; `nil` where a claim that it needs is not there or is not usable in a topic: it must be
    /// a string or a number, not empty, without `/ ? # * { }` and control characters.
    func selector(for claims: JSONValue) -> TopicSelector? {
        if let fixed { return fixed }
        guard let text = Self.join(pieces, { Self.value(of: claims.claim($0)) }) else { return nil }
        guard isTemplate else { return (try? Topic(text)).map { TopicSelector($0) } }
        let selector = TopicSelector(text)
        // A value that no template can have makes the whole a name, which is not what was meant.
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
    /// A claim by its name, else by its path: `realm_access.roles`.
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

// SPDX-License-Identifier: Apache-2.0

package import Martlet

/// What a selector selects, and whether that is what whoever wrote it may have meant.
package struct SelectorAdvice: Hashable, Sendable {
    /// "every topic".
    package let meaning: String
    /// What is wrong and what to write instead. `nil`: nothing is.
    package let warning: String?

    package init(_ selector: TopicSelector) {
        let text = selector.text
        if selector.isWildcard {
            meaning = "every topic"
            warning = nil
            return
        }
        let isTemplate = selector.exactTopic == nil && text.contains("{")
        meaning = isTemplate ? "what the template stands for" : "this topic and no other"
        if !isTemplate, selector.exactTopic == nil {
            warning = "This is no topic. A topic is not empty, and has no control characters."
        } else if !isTemplate, text.contains(where: { "{}".contains($0) }) {
            warning = "This is no URI template (RFC 6570), but a name. Write expressions as in orders/{id}."
        } else if let template = Self.template(for: text) {
            warning = "A * stands for itself here. Write \(template) for what it stands for elsewhere, or * alone."
        } else {
            warning = nil
        }
    }

    /// The template for a text with `*` in it outside of expressions, as other systems write patterns; `nil` where it has
    /// none. `**` goes beyond a slash, and `{+rest}` does, too.
    private static func template(for text: String) -> String? {
        var template = ""
        var count = 0
        var depth = 0
        var rest = text[...]
        while let character = rest.popFirst() {
            switch character {
            case "*" where depth == 0:
                count += 1
                let goesOn = rest.first == "*"
                rest = rest.drop { $0 == "*" }
                let name = (goesOn ? "rest" : "id") + (count == 1 ? "" : "\(count)")
                template += goesOn ? "{+\(name)}" : "{\(name)}"
            default:
                if character == "{" { depth += 1 }
                if character == "}" { depth -= 1 }
                template.append(character)
            }
        }
        return count > 0 ? template : nil
    }
}

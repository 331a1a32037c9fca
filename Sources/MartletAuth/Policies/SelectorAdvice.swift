// SPDX-License-Identifier: Apache-2.0

package import Martlet
import MartletSupport

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
        let isTemplate = selector.exactTopic == nil && text.containsExactly(UInt8(ascii: "{"))
        meaning = isTemplate ? "what the template stands for" : "this topic and no other"
        if !isTemplate, selector.exactTopic == nil {
            warning = "This is no topic. A topic is not empty, and has no control characters."
        } else if !isTemplate, text.utf8.contains(where: "{}".utf8.contains) {
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

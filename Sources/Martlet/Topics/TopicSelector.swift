// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Selects topics by a text: those that a subscriber asks for, or that a grant allows.
///
/// `*` selects every topic. A URI template (RFC 6570) with at least one expression, such as `orders/{id}`, selects what
/// ``matches(_:)`` says. Any other text selects the topic of that name and nothing else; a template that is not valid,
/// such as `orders/{id`, is such a text.
///
/// Any text is a selector; how long it may be is the hub's to say. Apart from its text a template takes about 300 bytes
/// of memory and, for each 64 bytes between its first expression and its last, 8 bytes for each different byte there. A
/// match takes time in proportion to the length of the topic times that of the template, at most. Copies share what was
/// made of the text.
///
/// Selectors are equal where they are of the same kind and their texts are equal, byte for byte.
public struct TopicSelector: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    private enum Kind {
        case every
        /// `nil` where no topic can have this name.
        case exact(Topic?)
        case template(TemplateMatcher)
    }

    private let exactText: ExactText
    private let kind: Kind

    public var text: String { exactText.string }

    /// Selects every topic.
    public static let every = TopicSelector("*")

    /// Selects this topic and nothing else, even if its name looks like a template.
    public init(_ topic: Topic) {
        exactText = ExactText(topic.name)
        kind = .exact(topic)
    }

    /// - Parameter text: `*`, a template, or the name of a topic.
    public init(_ text: String) {
        exactText = ExactText(text)
        if exactText == ExactText("*") {
            kind = .every
        } else if let template = URITemplate(text) {
            kind = .template(TemplateMatcher(template, text: exactText))
        } else {
            kind = .exact(try? Topic(text))
        }
    }

    /// A selector that the program itself names. Text that is not known at compile time belongs into a ``Topic``, or it might
    /// be read as a template.
    public init(stringLiteral text: StaticString) { self.init("\(text)") }

    /// Whether the selector is `*`.
    public var isWildcard: Bool { if case .every = kind { true } else { false } }

    /// The one topic that the selector selects. `nil` for `*` and for templates, and for a text that is no topic: that
    /// selects nothing.
    public var exactTopic: Topic? { if case .exact(let topic) = kind { topic } else { nil } }

    /// Whether the topic is selected: by `*`, by a selector of the same text (a template, too), or by a template that
    /// can stand for it.
    ///
    /// A template is held against the whole topic, byte for byte; percent-encoding is not undone on either side. An
    /// expression stands for any text of the form of its expansions (RFC 6570 section 3.2), or for none. Names of
    /// variables and prefix lengths (`{id:3}`) are not looked at. So `{id}` selects `42`, `4,2` and `%C3%A9`, but
    /// neither `4/2` nor `é`; and `orders{?from,to}` selects `orders` and `orders?to=2`.
    public func matches(_ topic: Topic) -> Bool {
        switch kind {
        case .every: true
        case .exact(let exact): exact == topic
        case .template(let template): template.matches(Array(topic.name.utf8))
        }
    }

    package var isExact: Bool { if case .exact = kind { true } else { false } }

    /// `nil` where the selector is none.
    var template: TemplateMatcher? { if case .template(let template) = kind { template } else { nil } }

    public static func == (a: TopicSelector, b: TopicSelector) -> Bool {
        a.isExact == b.isExact && a.exactText == b.exactText
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(exactText) }

    public var description: String { text }
}

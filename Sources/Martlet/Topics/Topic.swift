// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The name of what events are about, and of what subscribers ask for: a path such as `orders/42`.
///
/// Topics are compared byte for byte: `a//b`, `a/b` and `A/b` are three topics. Any text is a topic that is not empty
/// and has no control characters (Unicode category Cc). How long it may be is the hub's to say (``Limits/topicBytes``).
public struct Topic: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    private let text: ExactText

    public var name: String { text.string }

    public init(_ name: String) throws(MartletError) {
        guard !name.isEmpty else {
            throw MartletError(.invalidTopic, field: "topic", "The topic is empty. Name one, such as orders/42.")
        }
        guard !name.hasControlCharacters else {
            throw MartletError(.invalidTopic, field: "topic", "The topic has control characters. Leave them out.")
        }
        text = ExactText(name)
    }

    /// A topic that the program itself names. Stops the program when the literal is not a topic.
    public init(stringLiteral name: StaticString) {
        do {
            try self.init("\(name)")
        } catch {
            preconditionFailure("\"\(name)\" is not a topic: \(error.message)")
        }
    }

    public var description: String { name }
}

extension String {
    /// Whether a scalar of category Cc is in the text: C0, DEL or C1.
    package var hasControlCharacters: Bool {
        unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
    }
}

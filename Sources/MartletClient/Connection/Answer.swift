// SPDX-License-Identifier: Apache-2.0

/// What matters of the head of an answer.
struct Answer: Sendable, Equatable {
    var status: Int
    var contentType: String?
    var contentEncoding: String?
    var location: String?
    var retryAfter: String?

    /// Whether the type is `text/event-stream`, whatever its parameters.
    var isEventStream: Bool {
        let essence = contentType?.prefix { $0 != ";" }.split(whereSeparator: \.isWhitespace)
        return essence?.count == 1 && essence?.first?.lowercased() == "text/event-stream"
    }

    var isEncoded: Bool { !["", "identity"].contains(contentEncoding?.lowercased() ?? "") }

    var isRedirect: Bool { [301, 302, 303, 307, 308].contains(status) }

    /// Whether asking again may help.
    var isPassing: Bool { [408, 425, 429].contains(status) || (500...599).contains(status) }

    /// What the server asks to wait. A date is not read: clocks differ.
    var wait: Duration { retryAfter.flatMap { UInt32($0) }.map { .seconds($0) } ?? .zero }
}

// SPDX-License-Identifier: Apache-2.0

/// One block of an event stream: the lines a server writes up to and including a blank line.
///
/// Every field is optional, and `nil` means that the block has no such line. Whether the texts may be written is
/// checked when the event is encoded, not here; see ``EventStreamEncoder``.
///
/// Two events are equal when their texts have the same bytes. Two spellings that Unicode holds to be the same text are
/// not.
public struct ServerSentEvent: Sendable, Hashable {
    /// The event type a client dispatches under; `nil` and `""` both mean the default type, `message`.
    public var event: String?

    /// The type that a client dispatches the event under: ``event``, or `message` without one.
    public var type: String { if let event, !event.isEmpty { event } else { "message" } }

    /// The payload. `nil` is no data at all, and a client dispatches nothing for such a block; `""` is one empty line
    /// of data, which a client does dispatch.
    ///
    /// The format has no way to tell CR, LF and CRLF apart: a client reads each of them as LF.
    public var data: String?

    /// The value a client sends as `Last-Event-ID` when it reconnects after this block; `""` makes it forget the one
    /// it had. A block without data sets it too.
    public var id: String?

    /// How long a client waits before it reconnects, in milliseconds; not negative. 0 is legal.
    public var retry: Int?

    /// Text a client skips, of one or more lines.
    public var comment: String?

    public init(
        event: String? = nil,
        data: String? = nil,
        id: String? = nil,
        retry: Int? = nil,
        comment: String? = nil
    ) {
        self.event = event
        self.data = data
        self.id = id
        self.retry = retry
        self.comment = comment
    }
}

extension ServerSentEvent {
    public static func == (a: Self, b: Self) -> Bool { a.retry == b.retry && a.texts.elementsEqual(b.texts, by: equal) }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(retry)
        for text in texts { hasher.combine(text.map { Array($0.utf8) }) }
    }

    private var texts: [String?] { [event, data, id, comment] }

    private static func equal(_ a: String?, _ b: String?) -> Bool {
        switch (a, b) {
        case (let a?, let b?): a.utf8.elementsEqual(b.utf8)
        default: a == nil && b == nil
        }
    }
}

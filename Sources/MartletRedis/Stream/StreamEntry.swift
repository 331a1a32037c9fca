// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import MartletSupport

/// An entry of the stream: the ``EventFields`` of one event. Other programs may add entries, with `XADD martlet '*' topic
/// orders/42 data shipped`.
///
/// The fields `once` and `count` are reserved: in the first entry of a publish, its idempotency key and the number of its
/// events. Other fields are ignored. An entry that breaks the rules of its fields or the ``Limits`` is not an event, and
/// is skipped.
struct StreamEntry {
    var id: StreamID
    /// `nil` if the entry is not an event.
    var event: Event?

    /// An entry as `XRANGE` and `XREAD` return it: its id, and an array of names and values. `nil` for any other
    /// answer.
    init?(_ reply: RedisReply, within limits: Limits) {
        guard reply.elements.count == 2, let id = reply.elements[0].text.flatMap({ StreamID($0) }) else { return nil }
        self.id = id
        event = Self.event(reply.elements[1].elements, within: limits)
    }

    private static func event(_ words: RedisReply.Elements, within limits: Limits) -> Event? {
        var fields = EventFields()
        for index in stride(from: 0, to: words.count - 1, by: 2) {
            guard fields.take(words[index].text ?? "", words[index + 1].text) else { return nil }
        }
        // An id with the form of a place would not lead to the event.
        return fields.event(within: limits).flatMap { event in
            event.id.flatMap { StreamPlace($0) } == nil ? event : nil
        }
    }

    /// The names and values of the fields.
    static func fields(of event: Event) -> [String] { EventFields.of(event).flatMap { [$0.name, $0.value] } }
}
#endif

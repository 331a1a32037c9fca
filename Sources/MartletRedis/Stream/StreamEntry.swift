// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import MartletSupport

/// An entry of the stream: one event. Other programs may add entries, with `XADD martlet '*' topic orders/42 data
/// shipped`.
///
/// | field | content |
/// |---|---|
/// | `topic` | the topic |
/// | `data` | the data |
/// | `alternate` | an additional topic; may occur several times |
/// | `id` | the publisher's id of the event |
/// | `type` | the event type |
/// | `retry` | milliseconds before a client reconnects |
/// | `key` | the key of which the event is the latest value |
/// | `private` | `1`: only for subscribers with a right to the topic; `0`: for all |
/// | `once`, `count` | reserved: in the first entry of a publish, its idempotency key and the number of its events |
///
/// `topic` and `data` are required, texts are UTF-8, and only `alternate` may occur more than once. Other fields are
/// ignored. An entry that breaks these rules or the ``Limits`` is not an event, and is skipped.
struct StreamEntry {
    var id: StreamID
    /// `nil` if the entry is not an event.
    var event: Event?

    /// An entry as `XRANGE` and `XREAD` return it: its id, and an array of names and values. `nil` for any other
    /// answer.
    init?(_ reply: RedisReply, within limits: Limits) {
        guard reply.elements.count == 2, let id = reply.elements[0].text.flatMap({ StreamID($0) }) else { return nil }
        self.id = id
        event = Event(fields: reply.elements[1].elements, within: limits)
    }

    /// The names and values of the fields.
    static func fields(of event: Event) -> [String] {
        var fields = ["topic", event.topic.name, "data", event.data]
        for topic in event.alternates { fields += ["alternate", topic.name] }
        if let id = event.id { fields += ["id", id] }
        if let type = event.type { fields += ["type", type] }
        if let retry = event.retry { fields += ["retry", "\(retry)"] }
        if let key = event.key { fields += ["key", key] }
        if event.isPrivate { fields += ["private", "1"] }
        return fields
    }
}

extension Event {
    fileprivate init?(fields: RedisReply.Elements, within limits: Limits) {
        var topic: String?
        var data: String?
        var id: String?
        var type: String?
        var retry: String?
        var key: String?
        var isPrivate: String?
        var alternates: [Topic] = []
        /// Returns `false` if the field occurred before, or is not UTF-8.
        func take(_ value: String?, as field: inout String?) -> Bool {
            guard field == nil, let value else { return false }
            field = value
            return true
        }
        func takeAlternate(_ value: String?) -> Bool {
            guard let alternate = value.flatMap({ try? Topic($0) }) else { return false }
            alternates.append(alternate)
            return true
        }
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            let value = fields[index + 1]
            let isGood =
                switch ExactText(fields[index].text ?? "") {
                case .topic: take(value.text, as: &topic)
                case .data: take(value.text, as: &data)
                case .id: take(value.text, as: &id)
                case .type: take(value.text, as: &type)
                case .retry: take(value.text, as: &retry)
                case .key: take(value.text, as: &key)
                case .isPrivate: take(value.text, as: &isPrivate)
                case .alternate: takeAlternate(value.text)
                default: true
                }
            guard isGood else { return nil }
        }
        guard let topic = topic.flatMap({ try? Topic($0) }), let data,
            isPrivate.map({ $0.isExactly("1") || $0.isExactly("0") }) ?? true
        else { return nil }
        let milliseconds = retry.flatMap { Int($0) }
        guard (retry == nil) == (milliseconds == nil) else { return nil }
        self.init(
            topic: topic, alternates: alternates, data: data, id: id, type: type, retry: milliseconds, key: key,
            isPrivate: isPrivate?.isExactly("1") == true)
        // An id with the form of a place would not lead to the event.
        guard (try? limits.check(self)) != nil, id.map({ StreamPlace($0) == nil }) ?? true else { return nil }
    }
}

/// The names of the fields.
extension ExactText {
    fileprivate static let topic = ExactText("topic")
    fileprivate static let data = ExactText("data")
    fileprivate static let id = ExactText("id")
    fileprivate static let type = ExactText("type")
    fileprivate static let retry = ExactText("retry")
    fileprivate static let key = ExactText("key")
    fileprivate static let isPrivate = ExactText("private")
    fileprivate static let alternate = ExactText("alternate")
}
#endif

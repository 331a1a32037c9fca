// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// An event as names and values, in which shared logs store it: as the fields of an entry, or the headers of a record.
///
/// | name | value |
/// |---|---|
/// | `topic` | the topic |
/// | `data` | the data |
/// | `alternate` | an additional topic; may occur several times |
/// | `id` | the publisher's id of the event |
/// | `type` | the event type |
/// | `retry` | milliseconds before a client reconnects |
/// | `key` | the key of which the event is the latest value |
/// | `private` | `1`: only for subscribers with a right to the topic; `0`: for all |
///
/// `topic` and `data` are required, values are UTF-8, and only `alternate` may occur more than once. Other programs may
/// write such fields, so reading them checks everything. A value.
public struct EventFields: Sendable {
    private var topic: String?
    private var data: String?
    private var id: String?
    private var type: String?
    private var retry: String?
    private var key: String?
    private var isPrivate: String?
    private var alternates: [Topic] = []

    public init() {}

    /// Takes a field. One of another name is ignored.
    ///
    /// - Parameter value: `nil` if the value is not UTF-8.
    /// - Returns: Whether an event can have this field: it did not occur before, and its value is a text.
    public mutating func take(_ name: String, _ value: String?) -> Bool {
        switch ExactText(name) {
        case .topic: Self.set(&topic, value)
        case .data: Self.set(&data, value)
        case .id: Self.set(&id, value)
        case .type: Self.set(&type, value)
        case .retry: Self.set(&retry, value)
        case .key: Self.set(&key, value)
        case .isPrivate: Self.set(&isPrivate, value)
        case .alternate: takeAlternate(value)
        default: true
        }
    }

    private static func set(_ field: inout String?, _ value: String?) -> Bool {
        guard field == nil, let value else { return false }
        field = value
        return true
    }

    private mutating func takeAlternate(_ value: String?) -> Bool {
        guard let topic = value.flatMap({ try? Topic($0) }) else { return false }
        alternates.append(topic)
        return true
    }

    /// The event with these fields; `nil` if a rule is broken, or a limit is exceeded.
    public func event(within limits: Limits) -> Event? {
        guard let topic = topic.flatMap({ try? Topic($0) }), let data,
            isPrivate.map({ $0.isExactly("1") || $0.isExactly("0") }) ?? true
        else { return nil }
        let milliseconds = retry.flatMap { Int($0) }
        guard (retry == nil) == (milliseconds == nil) else { return nil }
        let event = Event(
            topic: topic, alternates: alternates, data: data, id: id, type: type, retry: milliseconds, key: key,
            isPrivate: isPrivate?.isExactly("1") ?? false)
        return (try? limits.check(event)) == nil ? nil : event
    }

    /// The names and values of an event. `topic` and `data` come first.
    public static func of(_ event: Event) -> [(name: String, value: String)] {
        var fields = [("topic", event.topic.name), ("data", event.data)]
        for topic in event.alternates { fields.append(("alternate", topic.name)) }
        if let id = event.id { fields.append(("id", id)) }
        if let type = event.type { fields.append(("type", type)) }
        if let retry = event.retry { fields.append(("retry", "\(retry)")) }
        if let key = event.key { fields.append(("key", key)) }
        if event.isPrivate { fields.append(("private", "1")) }
        return fields
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

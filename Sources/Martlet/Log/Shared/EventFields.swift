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
/// | `expires` | when the event expires, in milliseconds since 1970 |
/// | `topic-expires` | when the topic expires with all of its events, in milliseconds since 1970 |
/// | `writer` | the epoch of the writer of the topic, a space, and the name of the writer |
/// | `end` | `1`: the topic ends with this event |
/// | `purge` | `1`: all events of the topic before this one are gone |
/// | `traceparent` | the trace that the event is part of (W3C Trace Context); ignored if it is malformed |
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
    private var expires: String?
    private var topicExpires: String?
    private var writer: String?
    private var end: String?
    private var purge: String?
    private var traceParent: TraceParent?
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
        case .expires: Self.set(&expires, value)
        case .topicExpires: Self.set(&topicExpires, value)
        case .writer: Self.set(&writer, value)
        case .end: Self.set(&end, value)
        case .purge: Self.set(&purge, value)
        case .traceParent: takeTrace(value)
        default: true
        }
    }

    private static func set(_ field: inout String?, _ value: String?) -> Bool {
        guard field == nil, let value else { return false }
        field = value
        return true
    }

    /// A malformed one is no reason to lose the event.
    private mutating func takeTrace(_ value: String?) -> Bool {
        traceParent = traceParent ?? value.flatMap { TraceParent($0) }
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
        var event = Event(
            topic: topic, alternates: alternates, data: data, id: id, type: type, retry: milliseconds, key: key,
            isPrivate: isPrivate?.isExactly("1") ?? false)
        let statements = [expires, topicExpires, writer, end, purge]
        if traceParent != nil || statements.contains(where: { $0 != nil }) {
            guard let life else { return nil }
            event.life = life
        }
        return (try? limits.check(event)) == nil ? nil : event
    }

    /// The fields about the topic; `nil` if one is malformed.
    private var life: TopicLife? {
        var life = TopicLife()
        life.traceParent = traceParent
        for (text, place) in [(expires, \TopicLife.expires), (topicExpires, \TopicLife.topicExpires)] {
            guard let text else { continue }
            guard let milliseconds = Int64(text) else { return nil }
            life[keyPath: place] = WallTime(milliseconds: milliseconds)
        }
        for (text, place) in [(end, \TopicLife.endsTopic), (purge, \TopicLife.purgesTopic)] {
            guard let text else { continue }
            guard text.isExactly("1") || text.isExactly("0") else { return nil }
            life[keyPath: place] = text.isExactly("1")
        }
        if let writer {
            guard let (epoch, name) = writer.cutExactly(at: UInt8(ascii: " ")), let epoch = UInt64(epoch) else {
                return nil
            }
            life.writer = TopicWriter(String(name), epoch: epoch)
        }
        return life
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
        return fields + of(event.life)
    }

    private static func of(_ life: TopicLife) -> [(name: String, value: String)] {
        var fields: [(String, String)] = []
        if let expires = life.expires { fields.append(("expires", "\(expires.milliseconds)")) }
        if let expires = life.topicExpires { fields.append(("topic-expires", "\(expires.milliseconds)")) }
        if let writer = life.writer { fields.append(("writer", "\(writer.epoch) \(writer.name)")) }
        if life.endsTopic { fields.append(("end", "1")) }
        if life.purgesTopic { fields.append(("purge", "1")) }
        if let trace = life.traceParent { fields.append(("traceparent", trace.description)) }
        return fields
    }
}

// MARK: The statements about the topic as one text

extension Event {
    /// What the event says about itself and its topic, to store: a line with name and value for each statement, that of
    /// the writer last, since a name may have several lines. `nil` if it says nothing.
    package var statements: String? { hasStatements ? EventFields.statements(of: life) : nil }

    /// Takes stored ``statements``. Returns whether they are valid.
    package mutating func take(statements text: String) -> Bool {
        guard let life = EventFields.life(statements: text) else { return false }
        self.life = life
        return true
    }
}

extension EventFields {
    fileprivate static func statements(of life: TopicLife) -> String? {
        guard life != TopicLife() else { return nil }
        let fields = of(life)
        let lines = fields.filter { $0.name != "writer" } + fields.filter { $0.name == "writer" }
        return lines.map { "\($0.name) \($0.value)" }.joined(separator: "\n")
    }

    fileprivate static func life(statements text: String) -> TopicLife? {
        var fields = EventFields()
        var rest = Substring(text)
        while !rest.isEmpty {
            guard let (name, value) = rest.cutExactly(at: UInt8(ascii: " ")) else { return nil }
            var line = value
            rest = ""
            if !name.isExactly("writer"), let cut = value.cutExactly(at: UInt8(ascii: "\n")) { (line, rest) = cut }
            guard fields.take(String(name), String(line)) else { return nil }
        }
        return fields.life
    }
}

// MARK: Several events as one text

extension EventFields {
    /// Events one after the other, each ended by an empty line. A field is its name, a space, the length of its value in
    /// bytes, a line feed, the value, and a line feed.
    public static func list(of events: [Event]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(events.reduce(0) { $0 + $1.byteCount })
        for event in events {
            for (name, value) in of(event) {
                text += name.utf8
                text.append(UInt8(ascii: " "))
                text += String(value.utf8.count).utf8
                text.append(UInt8(ascii: "\n"))
                text += value.utf8
                text.append(UInt8(ascii: "\n"))
            }
            text.append(UInt8(ascii: "\n"))
        }
        return text
    }

    /// The events in a text that ``list(of:)`` may have written; `nil` if it breaks the rules, or a limit is exceeded.
    public static func events(inList text: UnsafeRawBufferPointer, within limits: Limits) -> [Event]? {
        var events: [Event] = []
        var fields = EventFields()
        var rest = text[...]
        func line() -> UnsafeRawBufferPointer.SubSequence? {
            guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            defer { rest = rest[(end + 1)...] }
            return rest[..<end]
        }
        while !rest.isEmpty {
            guard let line = line() else { return nil }
            if line.isEmpty {
                guard let event = fields.event(within: limits) else { return nil }
                events.append(event)
                fields = EventFields()
                if rest.isEmpty { return events }
                continue
            }
            guard let space = line.firstIndex(of: UInt8(ascii: " ")),
                let name = String(utf8: UnsafeRawBufferPointer(rebasing: line[..<space])),
                let length = length(line[(space + 1)...]), length < rest.count,
                rest[rest.startIndex + length] == UInt8(ascii: "\n")
            else { return nil }
            let value = String(utf8: UnsafeRawBufferPointer(rebasing: rest.prefix(length)))
            guard fields.take(name, value) else { return nil }
            rest = rest.dropFirst(length + 1)
        }
        return nil
    }

    /// The length of a value: up to nine digits.
    private static func length(_ digits: UnsafeRawBufferPointer.SubSequence) -> Int? {
        guard (1...9).contains(digits.count), digits.allSatisfy(\.isDigit) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
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
    fileprivate static let expires = ExactText("expires")
    fileprivate static let topicExpires = ExactText("topic-expires")
    fileprivate static let writer = ExactText("writer")
    fileprivate static let end = ExactText("end")
    fileprivate static let purge = ExactText("purge")
    fileprivate static let traceParent = ExactText("traceparent")
}

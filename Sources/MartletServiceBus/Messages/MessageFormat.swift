// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Crypto
import Martlet
import MartletSupport

/// How events are messages of a topic. A value.
///
/// One publish is one message, so that its events are accepted all or none. The body is the data, and application
/// properties hold everything else; other programs may send such messages:
///
/// | property | value |
/// |---|---|
/// | `martlet-kind` | `event`, which is also meant if the property is missing, `events`, or `notice`. Other kinds are skipped |
/// | `martlet-topic` | the topic of the event; without it, the name of the Service Bus topic |
/// | `martlet-alternates` | additional topics, separated by line feeds |
/// | `martlet-id` | the publisher's id of the event |
/// | `martlet-type` | the event type; without it, the subject of the message |
/// | `martlet-retry` | milliseconds before a client reconnects |
/// | `martlet-key` | the key of which the event is the latest value |
/// | `martlet-private` | `1`: only for subscribers with a right to the topic |
/// | `martlet-expires` | when the event expires, in milliseconds since 1970 |
/// | `martlet-topic-expires` | when the topic expires with all of its events, in milliseconds since 1970 |
/// | `martlet-writer` | the epoch of the writer of the topic, a space, and the name of the writer |
/// | `martlet-end` | `1`: the topic ends with this event |
/// | `martlet-purge` | `1`: all events of the topic before this one are gone |
/// | `martlet-once` | the idempotency key of the publish |
/// | `martlet-from` | the name of the message: the node that published it, and its number there |
///
/// The body of a message of the kind `events` is a list as ``EventFields`` writes it, that of a `notice` is what a node tells
/// the others (``NoticeLog``). A body that is a value or a
/// sequence counts as text if it is a string, and otherwise as JSON. Other properties are ignored. A message that breaks
/// these rules or the ``Limits`` is skipped.
struct MessageFormat: Sendable {
    let encoding: ServiceBusLogConfiguration.Encoding
    /// The topic of events that name none.
    let topicName: String
    let limits: Limits

    static let prefix = "martlet-"
    private static let kind = "martlet-kind"
    private static let once = "martlet-once"
    private static let from = "martlet-from"
    private static let alternates = "martlet-alternates"
    /// The longest subject that Service Bus takes.
    private static let mostSubjectBytes = 128

    /// What is in a message.
    struct Content {
        var events: [Event]
        var name: MessageName?
        /// The idempotency key.
        var key: String?
    }

    // MARK: Writing

    func write(_ events: [Event], once key: String?, as name: NumberedName) -> AMQPMessage {
        var message = AMQPMessage()
        // The broker's detection of duplicates works with the id of the message.
        message.id = key.map(Self.messageID) ?? name.text
        message.properties.append((Self.from, .string(name.text)))
        if let notice = Notices.notice(in: events) {
            message.body = .data(Array(notice.utf8))
            message.properties.append((Self.kind, .string("notice")))
        } else if let event = events.first, events.count == 1 {
            message.body = .data(Array(event.data.utf8))
            message.properties.append((Self.kind, .string("event")))
            for (field, text) in EventFields.of(event) where field != "data" && field != "alternate" {
                message.properties.append((Self.prefix + field, .string(text)))
            }
            if !event.alternates.isEmpty {
                let names = event.alternates.map(\.name).joined(separator: "\n")
                message.properties.append((Self.alternates, .string(names)))
            }
            if let type = event.type, type.utf8.count <= Self.mostSubjectBytes { message.subject = type }
        } else {
            message.body = .data(EventFields.list(of: events))
            message.properties.append((Self.kind, .string("events")))
        }
        if let key { message.properties.append((Self.once, .string(key))) }
        return message
    }

    /// The same for each message with an idempotency key, on all nodes.
    private static func messageID(for key: String) -> String {
        "once-" + SHA256.hash(data: Array(key.utf8)).prefix(16).map(\.hexText).joined()
    }

    // MARK: Reading

    /// What a node tells the others, if that is what a message is.
    func notice(_ message: AMQPMessage) -> String? {
        guard message.text(Self.kind)?.isExactly("notice") == true, case .data(let bytes) = message.body else {
            return nil
        }
        return String(utf8: bytes)
    }

    /// The events in a message; `nil` if it is skipped.
    func read(_ message: AMQPMessage) -> Content? {
        var content = Content(events: [])
        if let name = message.text(Self.from).flatMap({ NumberedName($0) }), name.number > 0 {
            content.name = .numbered(name)
        } else if let id = message.id {
            content.name = .foreign(SHA256.hash(data: Array(id.utf8)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
        }
        if let key = message.text(Self.once) {
            guard !key.isEmpty else { return nil }
            content.key = key
        }
        switch message.text(Self.kind) ?? "event" {
        case "event":
            guard let event = event(message) else { return nil }
            content.events = [event]
        case "events":
            guard case .data(let bytes) = message.body,
                let events = bytes.withUnsafeBytes({ EventFields.events(inList: $0, within: limits) })
            else { return nil }
            content.events = events
        default: return nil
        }
        return content
    }

    private func event(_ message: AMQPMessage) -> Event? {
        var fields = EventFields()
        var hasTopic = false
        var hasType = false
        for (name, value) in message.properties where name.startsExactly(with: Self.prefix) {
            let text = value.text ?? value.number.map { "\($0)" }
            if name.isExactly(Self.alternates) {
                for topic in text?.splitExactly(at: UInt8(ascii: "\n")) ?? [] {
                    guard fields.take("alternate", String(topic)) else { return nil }
                }
                continue
            }
            let field = String(name.utf8.dropFirst(Self.prefix.utf8.count)) ?? ""
            // The body is the data.
            guard !field.isExactly("data") else { continue }
            hasTopic = hasTopic || field.isExactly("topic")
            hasType = hasType || field.isExactly("type")
            guard fields.take(field, text) else { return nil }
        }
        if !hasTopic, !fields.take("topic", topicName) { return nil }
        if !hasType, let subject = message.subject, !subject.isEmpty, !fields.take("type", subject) { return nil }
        guard let data = data(message.body), fields.take("data", data) else { return nil }
        return fields.event(within: limits)
    }

    private func data(_ body: AMQPMessage.Body) -> String? {
        switch body {
        case .data(let bytes), .value(.binary(let bytes)):
            switch encoding {
            case .utf8: String(utf8: bytes)
            case .base64: bytes.withUnsafeBytes { Base64.text($0) }
            }
        case .value(.string(let text)): text
        case .value(let value): value.json
        case .sequence(let values): AMQPValue.list(values).json
        }
    }
}

/// What a node keeps with the events of a message, as the key of the publish in its ``EmbeddedLog``. A value.
///
///     FIRST NAME SEQUENCE MARK
///     KEY
///
/// `FIRST` is the offset of the first event, so that no two are the same; `NAME` is the ``MessageName``, `SEQUENCE` the
/// sequence number in the subscription, and `MARK` tells the delivery of a foreign message from that of another; each is
/// `-` if there is none. The second line is missing if there is no idempotency key.
struct StoredMessage: Equatable, Sendable {
    var name: MessageName?
    /// In the subscription of this node.
    var sequence: Int64?
    /// When the broker accepted it, in milliseconds since 1970; `nil` for messages of hubs.
    var mark: Int64?
    var key: String?

    init(name: MessageName?, sequence: Int64?, mark: Int64?, key: String?) {
        self.name = name
        self.sequence = sequence
        self.mark = mark
        self.key = key
    }

    func text(at first: UInt64) -> String {
        let name =
            switch name {
            case nil: "-"
            case .numbered(let name): name.text
            case .foreign(let hash): "m\(hash)"
            }
        let line = "\(first) \(name) \(sequence.map { "\($0)" } ?? "-") \(mark.map { "\($0)" } ?? "-")"
        return key.map { line + "\n" + $0 } ?? line
    }

    /// `nil` if the text was not written by ``text(at:)``.
    init?(_ text: String) {
        let lines = text.splitExactly(at: UInt8(ascii: "\n"), maxSplits: 1)
        let parts = lines[0].splitExactly(at: UInt8(ascii: " "))
        guard parts.count == 4, UInt64(parts[0]) != nil else { return nil }
        if let numbered = NumberedName(parts[1]) {
            name = .numbered(numbered)
        } else if let hash = parts[1].cutting(prefix: "m").flatMap({ UInt64($0) }) {
            name = .foreign(hash)
        }
        sequence = Int64(parts[2])
        mark = Int64(parts[3])
        key = lines.count > 1 ? String(lines[1]) : nil
    }
}
#endif

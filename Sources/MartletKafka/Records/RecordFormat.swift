// SPDX-License-Identifier: Apache-2.0

#if Kafka
import CRdkafka
import Martlet
import MartletSupport

/// How events are records of a topic. A value.
///
/// One publish is one record, so that its events are accepted all or none. The key of a record is the topic of its
/// event, its value is the data, and headers hold everything else; other programs may write such records:
///
/// | header | value |
/// |---|---|
/// | `martlet-kind` | `event`, which is also meant if the header is missing, `events`, or `notice`. Other kinds are skipped |
/// | `martlet-alternate` | an additional topic; may occur several times |
/// | `martlet-id` | the publisher's id of the event |
/// | `martlet-type` | the event type |
/// | `martlet-retry` | milliseconds before a client reconnects |
/// | `martlet-key` | the key of which the event is the latest value |
/// | `martlet-private` | `1`: only for subscribers with a right to the topic |
/// | `martlet-expires` | when the event expires, in milliseconds since 1970 |
/// | `martlet-topic-expires` | when the topic expires with all of its events, in milliseconds since 1970 |
/// | `martlet-writer` | the epoch of the writer of the topic, a space, and the name of the writer |
/// | `martlet-end` | `1`: the topic ends with this event |
/// | `martlet-purge` | `1`: all events of the topic before this one are gone |
/// | `martlet-once` | the idempotency key of the publish |
/// | `martlet-from` | the node that published it, `-`, and the number of the publish on that node |
///
/// The value of a record of the kind `events` is a list as ``EventFields`` writes it, that of a `notice` is what a node tells
/// the others (``NoticeLog``).
///
/// Other headers are ignored. A record that breaks these rules or the ``Limits`` is skipped.
struct RecordFormat: Sendable {
    let map: KafkaLogConfiguration.Map
    let encoding: KafkaLogConfiguration.Encoding
    /// The topic of raw records without a key.
    let topicName: String
    let limits: Limits
    /// How many the topic has.
    var partitions: Int

    static let headerPrefix = "martlet-"

    /// What a record holds.
    struct Content {
        var events: [Event]
        /// The idempotency key of the publish.
        var key: ExactText?
        /// The number of the publish on this node; `nil` if another program or node has written the record.
        var ownNumber: UInt64?
        /// What a node tells the others, if that is what the record holds.
        var notice: String?
    }

    private enum Kind {
        case event, events, notice, other
    }

    /// The names of headers that say something of the whole publish.
    private static let kind = "martlet-kind"
    private static let once = "martlet-once"
    private static let from = "martlet-from"

    // MARK: Writing

    /// - Parameter number: Of the publish on this node.
    func write(
        _ events: [Event], once key: String?, from node: String, number: UInt64
    ) -> (key: [UInt8], value: [UInt8], headers: [(name: String, value: [UInt8])], stamp: Stamp) {
        var value: [UInt8]
        var headers: [(name: String, value: [UInt8])] = []
        if let notice = Notices.notice(in: events) {
            value = Array(notice.utf8)
            headers.append((Self.kind, Array("notice".utf8)))
        } else if let event = events.first, events.count == 1 {
            value = Array(event.data.utf8)
            headers.append((Self.kind, Array("event".utf8)))
            for (name, text) in EventFields.of(event).dropFirst(2) {
                headers.append((Self.headerPrefix + name, Array(text.utf8)))
            }
        } else {
            value = EventFields.list(of: events)
            headers.append((Self.kind, Array("events".utf8)))
        }
        if let key { headers.append((Self.once, Array(key.utf8))) }
        let from = "\(node)-\(number)"
        headers.append((Self.from, Array(from.utf8)))
        return (Array((events.first?.topic.name ?? "").utf8), value, headers, Stamp(ofRecordFrom: from))
    }

    // MARK: Reading

    /// - Parameter node: This node.
    func read(_ message: UnsafePointer<rd_kafka_message_t>, of node: String) -> KafkaRecord {
        let time = rd_kafka_message_timestamp(message, nil)
        var record = KafkaRecord(
            partition: Int(message.pointee.partition), offset: message.pointee.offset, time: time,
            stamp: Stamp(ofRecordAt: time))
        var content = Content(events: [])
        guard read(message, of: node, into: &content, stamp: &record.stamp) else { return record }
        record.content = content
        return record
    }

    /// Returns whether the record is one or several events, or a notice.
    private func read(
        _ message: UnsafePointer<rd_kafka_message_t>, of node: String, into content: inout Content, stamp: inout Stamp
    ) -> Bool {
        var fields = EventFields()
        var kind = Kind.event
        let isGood = forEachHeader(of: message) { name, value in
            guard name.startsExactly(with: Self.headerPrefix) else { return true }
            let text = String(utf8: value)
            if name.isExactly(Self.kind) {
                kind =
                    switch text {
                    case "event": .event
                    case "events": .events
                    case "notice": .notice
                    default: .other
                    }
            } else if name.isExactly(Self.once) {
                // Not checked as that of a client is: the hub puts the principal in front of it.
                guard let text, !text.isEmpty else { return false }
                content.key = ExactText(text)
            } else if name.isExactly(Self.from) {
                guard let text else { return true }
                stamp = Stamp(ofRecordFrom: text)
                content.ownNumber = text.cutting(prefix: node + "-").flatMap { UInt64($0) }
            } else {
                let field = String(name.utf8.dropFirst(Self.headerPrefix.utf8.count)) ?? ""
                // The key and the value of the record say these.
                guard !field.isExactly("topic"), !field.isExactly("data") else { return true }
                return fields.take(field, text)
            }
            return true
        }
        guard isGood else { return false }
        let payload = message.pointee.payload
        let value = UnsafeRawBufferPointer(start: payload, count: payload == nil ? 0 : message.pointee.len)
        switch kind {
        case .other: return false
        case .notice:
            content.notice = String(utf8: value)
            return content.notice != nil
        case .events:
            guard let events = EventFields.events(inList: value, within: limits) else { return false }
            content.events = events
        case .event:
            guard let topic = topic(of: message.pointee), let data = data(value), fields.take("topic", topic),
                fields.take("data", data), let event = fields.event(within: limits)
            else { return false }
            content.events = [event]
        }
        // An id with the form of a place would not lead to the event.
        return !content.events.contains { event in
            event.id.map { KafkaPlace($0, partitions: partitions) != nil } ?? false
        }
    }

    private func topic(of message: rd_kafka_message_t) -> String? {
        if let key = message.key {
            let bytes = UnsafeRawBufferPointer(start: key, count: message.key_len)
            return String(utf8: bytes)
        }
        return map == .raw ? topicName : nil
    }

    private func data(_ value: UnsafeRawBufferPointer) -> String? {
        switch encoding {
        case .utf8: String(utf8: value)
        case .base64: Base64.text(value)
        }
    }

    /// Calls a closure with the headers of a record until it returns `false`. Returns whether it never did.
    private func forEachHeader(
        of message: UnsafePointer<rd_kafka_message_t>, _ body: (_ name: String, _ value: UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        var headers: OpaquePointer?
        // It is a part of something larger, so a copy would not do.
        guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR, let headers else {
            return true
        }
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while rd_kafka_header_get_all(headers, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
            index += 1
            guard let name else { continue }
            let bytes = UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : size)
            guard body(String(cString: name), bytes) else { return false }
        }
        return true
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletSupport

/// What is known under a ``StateName``.
enum StateContent: Sendable {
    case topic(TopicBook.Entry)
    case value(Record)
    /// The key has no value any more.
    case removed
}

/// How the state topic says what the events say. A value.
///
/// | key of the record | value |
/// |---|---|
/// | `topic POSITION TOPIC` | a line for each of `end`, `last`, `gone` (positions), `expires` (milliseconds since 1970) and `writer` (its epoch, a space, its name), as far as it applies; the writer comes last |
/// | `value POSITION LENGTH TOPIC KEY` | the position of the event for readers, a line feed, and the event as ``EventFields`` lists it; or `removed` |
/// | `folded TAG PARTITION` | a position: the topic has everything that the partition says up to there |
///
/// The position in a key is that of the event that made the change, as that of a single event. So records of different
/// events have different keys: a node that is late cannot replace what another one knows better, whatever compaction
/// removes, and of all records about one thing the one with the greatest position counts. The length is that of the
/// topic in bytes of UTF-8. A record without a value removes the one with its key.
struct StateFormat: Sendable {
    let tag: TopicTag
    /// How many the topic of the events has.
    let partitions: Int
    let limits: Limits

    enum Item {
        case state(StateName, StateVersion, StateContent)
        case absent(StateName, StateVersion)
        case folded(StateVersion)
    }

    private static let removed = "removed"

    // MARK: Writing

    func key(_ name: StateName, _ version: StateVersion) -> [UInt8] {
        let position = text(version)
        guard let key = name.key else { return Array("topic \(position) \(name.topic.name)".utf8) }
        return Array("value \(position) \(name.topic.name.utf8.count) \(name.topic.name) \(key.string)".utf8)
    }

    func value(_ content: StateContent) -> [UInt8] {
        switch content {
        case .removed: Array(Self.removed.utf8)
        case .value(let record): Array("\(portable(record.position))\n".utf8) + EventFields.list(of: [record.event])
        case .topic(let entry): Array(lines(of: entry).joined(separator: "\n").utf8)
        }
    }

    func foldedKey(_ partition: Int) -> [UInt8] { Array("folded \(tag.text) \(partition)".utf8) }

    /// The position of the event alone.
    func text(_ version: StateVersion) -> String {
        var progress = [Progress](repeating: Progress(next: 0), count: partitions)
        progress[version.partition] = version.progress
        return KafkaPlace(
            tag, version.stamp, partition: version.partition, progress, isOfOneEvent: partitions > 1
        ).text
    }

    private func lines(of entry: TopicBook.Entry) -> [String] {
        var lines: [String] = []
        if let end = entry.end { lines.append("end \(portable(end))") }
        if let last = entry.last { lines.append("last \(portable(last))") }
        if let gone = entry.goneThrough { lines.append("gone \(portable(gone))") }
        if let expires = entry.expires { lines.append("expires \(expires.milliseconds)") }
        if let writer = entry.writer { lines.append("writer \(writer.epoch) \(writer.name)") }
        return lines
    }

    /// The text of a position without what only this node knows.
    private func portable(_ position: Position) -> String {
        guard var place = KafkaPlace(position.text, partitions: partitions) else { return position.text }
        place.life = 0
        return place.text
    }

    // MARK: Reading

    /// - Parameter value: `nil` if the record removes its key.
    /// - Returns: `nil` if the record is about another topic, or is none that ``key(_:_:)`` and ``value(_:)`` may have
    ///   written.
    func read(key: String, value: [UInt8]?) -> Item? {
        guard let (kind, rest) = Substring(key).cutExactly(at: UInt8(ascii: " ")),
            let (first, subject) = rest.cutExactly(at: UInt8(ascii: " "))
        else { return nil }
        if kind.isExactly("folded") {
            guard first.isExactly(tag.text), let value, let text = String(utf8: value),
                let version = version(Substring(text)), "\(version.partition)".isExactly(String(subject))
            else { return nil }
            return .folded(version)
        }
        guard let version = version(first), let name = name(kind, subject) else { return nil }
        guard let value else { return .absent(name, version) }
        return content(of: name, value).map { .state(name, version, $0) }
    }

    private func version(_ text: Substring) -> StateVersion? {
        guard let place = place(text), place.isOfOneEvent == (partitions > 1) else { return nil }
        return StateVersion(place)
    }

    private func place(_ text: Substring) -> KafkaPlace? {
        guard let place = KafkaPlace(String(text), partitions: partitions), place.tag == tag, place.life == 0 else {
            return nil
        }
        return place
    }

    private func name(_ kind: Substring, _ subject: Substring) -> StateName? {
        if kind.isExactly("topic") {
            return (try? Topic(String(subject))).map { StateName(topic: $0, key: nil) }
        }
        guard kind.isExactly("value"), let (digits, rest) = subject.cutExactly(at: UInt8(ascii: " ")),
            let length = Int(digits), length > 0, length < rest.utf8.count
        else { return nil }
        let bytes = Array(rest.utf8)
        guard bytes[length] == UInt8(ascii: " "), let text = String(utf8: bytes[..<length]),
            let topic = try? Topic(text), let key = String(utf8: bytes[(length + 1)...])
        else { return nil }
        return StateName(topic: topic, key: ExactText(key))
    }

    private func content(of name: StateName, _ value: [UInt8]) -> StateContent? {
        guard let key = name.key else { return entry(of: name.topic, value).map { .topic($0) } }
        if value.elementsEqual(Self.removed.utf8) { return .removed }
        guard let end = value.firstIndex(of: UInt8(ascii: "\n")), let text = String(utf8: value[..<end]),
            let place = place(Substring(text))
        else { return nil }
        let events = value[(end + 1)...].withUnsafeBytes { EventFields.events(inList: $0, within: limits) }
        guard let event = events?.first, events?.count == 1, event.topic == name.topic,
            event.key.map({ ExactText($0) == key }) ?? false
        else { return nil }
        return .value(Record(position: place.position, event: event))
    }

    private func entry(of topic: Topic, _ value: [UInt8]) -> TopicBook.Entry? {
        guard let text = String(utf8: value) else { return nil }
        var entry = TopicBook.Entry(topic: topic)
        var rest = Substring(text)
        while !rest.isEmpty {
            guard let (name, value) = rest.cutExactly(at: UInt8(ascii: " ")) else { return nil }
            if name.isExactly("writer") {
                // Its name may have several lines.
                guard let (epoch, writer) = value.cutExactly(at: UInt8(ascii: " ")), let epoch = UInt64(epoch) else {
                    return nil
                }
                entry.writer = TopicWriter(String(writer), epoch: epoch)
                return entry
            }
            let cut = value.cutExactly(at: UInt8(ascii: "\n"))
            guard take(name, cut?.0 ?? value, into: &entry) else { return nil }
            rest = cut?.1 ?? ""
        }
        return entry
    }

    private func take(_ name: Substring, _ value: Substring, into entry: inout TopicBook.Entry) -> Bool {
        switch name {
        case "expires":
            guard let milliseconds = Int64(value) else { return false }
            entry.expires = WallTime(milliseconds: milliseconds)
            return true
        case "end", "last", "gone":
            guard let position = place(value)?.position else { return false }
            if name == "end" { entry.end = position }
            if name == "last" { entry.last = position }
            if name == "gone" { entry.goneThrough = position }
            return true
        default: return false
        }
    }
}
#endif

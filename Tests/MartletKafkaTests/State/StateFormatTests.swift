// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletSupport
import Testing

@testable import MartletKafka

@Suite("Records of a state topic")
struct StateFormatTests {
    private let tag = TopicTag(cluster: "c", topic: "t")
    private var one: StateFormat { StateFormat(tag: tag, partitions: 1, limits: Limits()) }

    private func version(_ offset: Int64, partition: Int = 0, part: Int = 0) -> StateVersion {
        let progress = part > 0 ? Progress(next: offset, part: part) : Progress(next: offset + 1)
        return StateVersion(partition: partition, progress: progress, stamp: Stamp(ofRecordAt: 1000 + offset))
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// What a format reads of what it has written.
    private func again(
        _ format: StateFormat, _ name: StateName, _ version: StateVersion, _ content: StateContent
    ) throws -> StateContent {
        let item = format.read(key: text(format.key(name, version)), value: format.value(content))
        guard case .state(name, version, let content)? = item else { throw NotRead() }
        return content
    }

    private struct NotRead: Error {}

    @Test("Entries of topics are read as they were written", arguments: [1, 3])
    func topics(partitions: Int) throws {
        let format = StateFormat(tag: tag, partitions: partitions, limits: Limits())
        let progress = (0..<partitions).map { Progress(next: Int64(7 + $0)) }
        var place = KafkaPlace(tag, Stamp(ofRecordAt: 5), partition: partitions - 1, progress, life: 3)
        let position = place.position
        place.life = 0
        for topic in ["a", "a b", "\u{E9}/\u{1F426} x", "topic 1 2"] {
            var entry = TopicBook.Entry(topic: try Topic(topic))
            let name = StateName(topic: entry.topic, key: nil)
            for step in 0..<6 {
                switch step {
                case 1: entry.end = position
                case 2: entry.last = position
                case 3: entry.goneThrough = position
                case 4: entry.expires = WallTime(milliseconds: -1)
                case 5: entry.writer = TopicWriter("na\u{EF}ve\nend of x ", epoch: .max)
                default: break
                }
                for part in [0, 2] {
                    let version = version(9, partition: partitions - 1, part: part)
                    guard case .topic(let read) = try again(format, name, version, .topic(entry)) else {
                        throw NotRead()
                    }
                    #expect(read.end == entry.end.map { _ in place.position })
                    #expect(read.last == entry.last.map { _ in place.position })
                    #expect(read.goneThrough == entry.goneThrough.map { _ in place.position })
                    #expect(read.expires == entry.expires && read.writer == entry.writer)
                }
            }
        }
    }

    @Test("Values are read as they were written")
    func values() throws {
        for (topic, key) in [("a", "k"), ("a b", "c d"), ("a", "b c"), ("\u{E9}", " \u{E9} ")] {
            var event = Event(topic: try Topic(topic), alternates: ["x"], data: "a\nb", id: "i", type: "t", key: key)
            event.expires = WallTime(milliseconds: 5)
            let name = StateName(topic: event.topic, key: ExactText(key))
            let position = KafkaPlace(tag, Stamp(ofRecordAt: 5), [Progress(next: 3)]).position
            let record = Record(position: position, event: event)
            guard case .value(let read) = try again(one, name, version(2), .value(record)) else { throw NotRead() }
            #expect(read == record)
            guard case .removed = try again(one, name, version(2), .removed) else { throw NotRead() }
        }
    }

    @Test("The topic and the key of a value cannot be taken for others")
    func names() throws {
        let names = try [("a b", "c"), ("a", "b c"), ("a b c", ""), ("a", "b")].map { topic, key in
            StateName(topic: try Topic(topic), key: ExactText(key))
        }
        #expect(Set(names.map { text(one.key($0, version(1))) }).count == names.count)
    }

    @Test("A checkpoint and a removal are read as they were written")
    func others() throws {
        let read = one.read(key: text(one.foldedKey(0)), value: Array(one.text(version(4)).utf8))
        guard case .folded(version(4))? = read else { throw NotRead() }
        let name = StateName(topic: "a", key: ExactText("k"))
        guard case .absent(name, version(4))? = one.read(key: text(one.key(name, version(4))), value: nil) else {
            throw NotRead()
        }
    }

    @Test("Records of other topics and malformed ones say nothing")
    func malformed() throws {
        let place = one.text(version(4))
        let other = StateFormat(tag: TopicTag(cluster: "d", topic: "t"), partitions: 1, limits: Limits())
        let wide = StateFormat(tag: tag, partitions: 3, limits: Limits())
        let event = text(EventFields.list(of: [Event(topic: "a", data: "1", key: "k")]))
        let bad: [(key: String, value: String?)] = [
            ("", ""), ("topic", ""), ("topic \(place)", ""), ("topic x a", ""), ("topic \(place) ", ""),
            ("topic \(place)~1 a", ""), ("topic \(place) a", "end"), ("topic \(place) a", "end x"),
            ("topic \(place) a", "expires 1.5"), ("topic \(place) a", "writer 1"), ("topic \(place) a", "writer x y"),
            ("topic \(place) a", "other 1"), ("value \(place) 1 a", "removed"), ("value \(place) 2 a k", "removed"),
            ("value \(place) -1 a k", "removed"), ("value \(place) 99999999999999999999 a k", "removed"),
            ("value \(place) 1 a k", ""), ("value \(place) 1 a k", "x\n\(event)"), ("value \(place) 1 a k", place),
            ("value \(place) 1 a other", "\(place)\n\(event)"), ("value \(place) 1 b k", "\(place)\n\(event)"),
            ("value \(place) 1 a k", "\(place)\n\(event)\(event)"), ("folded \(tag.text) 1", place),
            ("folded \(tag.text) 0", nil), ("folded \(tag.text) 0", "x"), ("folded xxxx 0", place),
            ("other \(place) a", ""),
            ("topic \(other.text(version(4))) a", ""), ("topic \(wide.text(version(4))) a", ""),
        ]
        for (key, value) in bad {
            #expect(one.read(key: key, value: value.map { Array($0.utf8) }) == nil, "\(key): \(value ?? "-")")
        }
        #expect(one.read(key: "topic \(place) a", value: [0xFF]) == nil)
        #expect(one.read(key: "value \(place) 1 a k", value: Array("\(place)\n\(event)".utf8)) != nil)
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletSupport

/// How far a reader has come in one partition.
struct Progress: Hashable, Comparable, Sendable {
    /// The offset of the next record.
    var next: Int64
    /// How many events of that record the reader has: only a record with several events can be read in part.
    var part = 0

    static func < (a: Progress, b: Progress) -> Bool { (a.next, a.part) < (b.next, b.part) }
}

/// A position in a topic. A value.
///
/// | text | meaning |
/// |---|---|
/// | `TAGSTAMP-OFFSET` | everything up to the record with this offset |
/// | `TAGSTAMP-OFFSET.PART` | everything in front of that record, and this many of its events |
/// | `TAGSTAMP-PARTITION-N0_N1_…[.PART]` | with several partitions: the next offset of each; the part is of this partition |
/// | `TAGSTAMP-PARTITION-OFFSET[.PART]` | with several partitions: an event that was published; nothing is said of the others |
///
/// The tag tells the topics of all clusters apart. The stamp is of the record at which the position was made, so that a
/// position can be verified: if the record with this offset has another stamp, the log lost the one that the client saw. `~LIFE` follows if the node has seen the log lose records: it keeps positions from before and after the
/// loss apart on this node, and other nodes ignore it.
struct KafkaPlace: Hashable, Sendable {
    /// See ``TopicTag``.
    var tag: TopicTag
    /// The stamp of the record at which the place was made; `nil` if the place is in front of a record that may not
    /// exist.
    var stamp: Stamp?
    /// The partition of that record.
    var partition: Int
    /// For each partition. In a place of one event, the others are at zero.
    var progress: [Progress]
    /// How many losses the node had seen when it made the place.
    var life = 0
    /// Whether only ``partition`` is known.
    var isOfOneEvent = false

    /// The offset of the record that has the stamp; `nil` without a stamp.
    var anchor: Int64? {
        guard stamp != nil else { return nil }
        let own = progress[partition]
        return own.part > 0 ? own.next : own.next - 1
    }

    private static let mostLife = 1000

    init(
        _ tag: TopicTag, _ stamp: Stamp?, partition: Int = 0, _ progress: [Progress], life: Int = 0,
        isOfOneEvent: Bool = false
    ) {
        self.tag = tag
        self.stamp = stamp
        self.partition = partition
        self.progress = progress
        self.life = life
        self.isOfOneEvent = isOfOneEvent
    }

    /// Every event has one, so it is written without parts that would be allocated.
    var text: String {
        String(unsafeUninitializedCapacity: Self.mostBytes) { bytes in
            var writer = ASCIIWriter(bytes)
            write(to: &writer)
            return writer.count
        }
    }

    /// More than any text has: up to 12 partitions with 13 digits each.
    private static let mostBytes = 256

    private func write(to writer: inout ASCIIWriter) {
        writer.write(tag.text)
        writer.write(stamp?.number ?? 0, radix: 36, digits: Stamp.length)
        writer.write("-")
        let own = progress[partition]
        var part = own.part > 0 ? own.part : nil
        if progress.count == 1 || isOfOneEvent {
            if isOfOneEvent {
                writer.write(Int64(partition), radix: 10)
                writer.write("-")
            }
            if own.part == 0, stamp != nil {
                writer.write(own.next - 1, radix: 10)
            } else {
                writer.write(own.next, radix: 10)
                part = own.part
            }
        } else {
            writer.write(Int64(partition), radix: 10)
            for (index, progress) in progress.enumerated() {
                writer.write(index == 0 ? "-" : "_")
                writer.write(progress.next, radix: 36)
            }
        }
        if let part {
            writer.write(".")
            writer.write(Int64(part), radix: 10)
        }
        if life > 0 {
            writer.write("~")
            writer.write(Int64(life), radix: 10)
        }
    }

    var position: Position { Position(checked: text) }

    /// The place with a text; `nil` if no place in a topic with so many partitions has it. Each place has one spelling.
    init?(_ text: String, partitions: Int) {
        guard text.utf8.count <= 128 else { return nil }
        var rest = text[...]
        var life = 0
        if let (before, number) = rest.cutExactly(at: UInt8(ascii: "~")) {
            guard let number = Self.number(number), (1...Self.mostLife).contains(Int(number)) else { return nil }
            (rest, life) = (before, Int(number))
        }
        var part: Int?
        if let (before, number) = rest.cutExactly(at: UInt8(ascii: ".")) {
            guard let number = Self.number(number), number <= Int32.max else { return nil }
            (rest, part) = (before, Int(number))
        }
        var words = rest.splitExactly(at: UInt8(ascii: "-"))
        let head = words.removeFirst()
        guard head.utf8.count == TopicTag.length + Stamp.length,
            let tag = TopicTag(head.prefix(TopicTag.length)), let stamp = Stamp(head.dropFirst(TopicTag.length))
        else { return nil }
        let known = stamp == .none ? nil : stamp
        var partition = 0
        if partitions > 1 {
            guard words.count == 2, let number = Self.number(words.removeFirst()), number < partitions else {
                return nil
            }
            partition = Int(number)
        }
        guard words.count == 1 else { return nil }
        var progress = [Progress](repeating: Progress(next: 0), count: partitions)
        let isVector = partitions > 1 && words[0].containsExactly(UInt8(ascii: "_"))
        if isVector {
            let numbers = words[0].splitExactly(at: UInt8(ascii: "_"))
            guard numbers.count == partitions, part != 0, part == nil || known != nil else { return nil }
            for (index, number) in numbers.enumerated() {
                guard let next = Base36.number(number) else { return nil }
                progress[index].next = next
            }
            progress[partition].part = part ?? 0
            // A stamp needs a record in front of the place.
            guard known == nil || part != nil || progress[partition].next > 0 else { return nil }
        } else {
            guard let offset = Self.number(words[0]), offset < Int64.max else { return nil }
            // Without a stamp, the place is in front of the record.
            guard (known == nil) == (part == 0) else { return nil }
            progress[partition] = part.map { Progress(next: offset, part: $0) } ?? Progress(next: offset + 1)
        }
        self.init(
            tag, known, partition: partition, progress, life: life, isOfOneEvent: partitions > 1 && !isVector)
    }

    /// A number in decimal digits, without zeros in front.
    private static func number(_ text: Substring) -> Int64? {
        guard (1...19).contains(text.utf8.count), text.utf8.allSatisfy(\.isDigit),
            text.utf8.count == 1 || text.utf8.first != UInt8(ascii: "0")
        else { return nil }
        return Int64(text)
    }

    /// Whether a reader here has everything that a reader there has; both are places of one node.
    func covers(_ other: KafkaPlace) -> Bool {
        if life != other.life { return life > other.life }
        return zip(progress, other.progress).allSatisfy { $0 >= $1 }
    }
}

/// Tells the topics of all clusters apart: a hash of the id of the cluster and the name of the topic.
struct TopicTag: Hashable, Sendable {
    let text: String

    static let length = 4

    init(cluster: String, topic: String) {
        text = Base36.text(Base36.hash("\(cluster)/\(topic)") % Base36.power(Self.length), digits: Self.length)
    }

    init?(_ text: Substring) {
        guard text.utf8.count == Self.length, Base36.number(text, digits: Self.length) != nil else { return nil }
        self.text = String(text)
    }
}

/// Tells the records that have an offset in different lives of a topic apart: a hash of the publish that a node wrote
/// into the record, or the time of a record that another program has written.
struct Stamp: Hashable, Sendable {
    /// From 1 to 36 to the power of ``length``. No record has the stamp 0.
    fileprivate let number: Int64

    static let length = 8
    static let none = Stamp(number: 0)

    private init(number: Int64) { self.number = number }

    /// - Parameter milliseconds: Since 1970; if the record has no time, any number below 1.
    init(ofRecordAt milliseconds: Int64) { number = max(1, max(0, milliseconds) % Base36.power(Self.length)) }

    init(ofRecordFrom publish: String) { number = max(1, Base36.hash(publish) % Base36.power(Self.length)) }

    init?(_ text: Substring) {
        guard let number = Base36.number(text, digits: Self.length) else { return nil }
        self.number = number
    }

    var text: String { Base36.text(number, digits: Self.length) }
}

/// Writes ASCII into memory that is large enough for all of it.
private struct ASCIIWriter {
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(_ bytes: UnsafeMutableBufferPointer<UInt8>) { self.bytes = bytes }

    mutating func write(_ text: String) {
        for byte in text.utf8 {
            bytes[count] = byte
            count += 1
        }
    }

    /// - Parameters:
    ///   - number: Not negative.
    ///   - digits: The least number of digits, with zeros in front.
    mutating func write(_ number: Int64, radix: Int64, digits: Int = 1) {
        var (length, rest) = (1, number / radix)
        while rest > 0 {
            length += 1
            rest /= radix
        }
        length = max(length, digits)
        rest = number
        for place in stride(from: count + length - 1, through: count, by: -1) {
            let digit = UInt8(rest % radix)
            bytes[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            rest /= radix
        }
        count += length
    }
}

/// Numbers in digits and lower-case letters.
enum Base36 {
    /// - Parameter digits: The length of the text, with zeros in front; `nil` for the shortest text.
    static func text(_ number: Int64, digits: Int? = nil) -> String {
        let text = String(number, radix: 36)
        guard let digits, text.utf8.count < digits else { return text }
        return String(repeating: "0", count: digits - text.utf8.count) + text
    }

    /// - Parameter digits: The length that the text must have, with zeros in front; `nil` for the shortest text.
    static func number(_ text: Substring, digits: Int? = nil) -> Int64? {
        let isLower = text.utf8.allSatisfy { $0.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
        guard isLower, (1...12).contains(text.utf8.count) else { return nil }
        if let digits {
            guard text.utf8.count == digits else { return nil }
        } else if text.utf8.count > 1, text.utf8.first == UInt8(ascii: "0") {
            return nil
        }
        return Int64(text, radix: 36)
    }

    /// FNV-1a, because it must be the same on all nodes. Not negative.
    static func hash(_ text: String) -> Int64 {
        let hash = text.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return Int64((hash ^ hash >> 32) >> 1)
    }

    static func power(_ digits: Int) -> Int64 { (0..<digits).reduce(1) { number, _ in number * 36 } }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if Kafka
import DequeModule
import Martlet
import MartletSupport

/// What this node knows of the topic. A value.
struct TopicState {
    /// The log lost records that this node had read.
    struct Loss {
        /// For each partition, where the records of before end that are still there.
        var from: [Int64]
        var reason: Gap.Reason
    }

    var tag: TopicTag
    private(set) var windows: [PartitionWindow]
    /// The partition of the record that was read last.
    private(set) var lastPartition = 0
    /// The losses, the newest last; the first of them began the life ``firstLife`` + 1.
    private var losses: [Loss] = []
    private var firstLife = 0
    /// Older losses are forgotten: a reader of before them gets the gap of the oldest that is known.
    private static let mostLosses = 16
    /// Where the last of the own records are, by their numbers.
    private(set) var ownOffsets: [UInt64: Int64] = [:]
    private static let mostOwnOffsets = 1024

    /// The parts of history in front of the windows that were last read from the brokers: clients that come back
    /// together read the same parts.
    private var chunks: Deque<HistoryChunk> = []
    private static let mostChunkBytes = 32 * 1024 * 1024

    init(_ tag: TopicTag, _ windows: [PartitionWindow]) {
        self.tag = tag
        self.windows = windows
    }

    /// How many losses this node has seen.
    var life: Int { firstLife + losses.count }

    // MARK: Reading the topic

    /// The node has read this record. Returns its place in the log with each of its events.
    mutating func append(_ record: KafkaRecord, records: Int, bytes: Int) -> [Record] {
        let entry = windows[record.partition].append(record)
        lastPartition = record.partition
        if let number = record.content?.ownNumber {
            ownOffsets[number] = record.offset
            if number >= Self.mostOwnOffsets { ownOffsets[number - UInt64(Self.mostOwnOffsets)] = nil }
        }
        let events = entry.events
        var place = end
        let whole = place.progress[record.partition]
        let result = events.indices.map { index in
            place.progress[record.partition] =
                index < events.count - 1 ? Progress(next: record.offset, part: index + 1) : whole
            return Record(
                position: place.position, event: events[index],
                time: record.time > 0 ? WallTime(milliseconds: record.time) : nil)
        }
        windows[record.partition].trim(toRecords: records, bytes: bytes)
        return result
    }

    mutating func raiseLow(of partition: Int, to offset: Int64) { windows[partition].raiseLow(to: offset) }

    /// The log lost the records of some partitions: of each, from an offset on.
    mutating func lost(_ partitions: [Int: (from: Int64, low: Int64)], reason: Gap.Reason) {
        let from = windows.enumerated().map { partitions[$0]?.from ?? $1.next }
        losses.append(Loss(from: from, reason: reason))
        if losses.count > Self.mostLosses {
            losses.removeFirst()
            firstLife += 1
        }
        for (partition, loss) in partitions { windows[partition].forget(from: loss.from, low: loss.low) }
        lastPartition = partitions.keys.max() ?? 0
        chunks = []
    }

    // MARK: Older history

    /// A part that has this offset.
    func chunk(of partition: Int, at offset: Int64) -> HistoryChunk? {
        chunks.last { $0.partition == partition && $0.offsets.contains(offset) }
    }

    mutating func keep(_ chunk: HistoryChunk) {
        chunks.append(chunk)
        var bytes = chunks.reduce(0) { $0 + $1.byteCount }
        while bytes > Self.mostChunkBytes, let first = chunks.popFirst() { bytes -= first.byteCount }
    }

    // MARK: Places

    /// Everything that this node has read.
    var end: KafkaPlace {
        KafkaPlace(
            tag, windows[lastPartition].lastStamp, partition: lastPartition,
            windows.map { Progress(next: $0.next) }, life: life)
    }

    /// In front of everything in history.
    var start: KafkaPlace { KafkaPlace(tag, nil, windows.map { Progress(next: $0.low) }, life: life) }

    /// How far each partition was read.
    var edges: [StateFold.Edge] { windows.map { StateFold.Edge(next: $0.next, stamp: $0.lastStamp) } }

    /// The losses after a life: a reader that was there in that life has not been told of them.
    func losses(since life: Int) -> ArraySlice<Loss> { losses.dropFirst(max(0, life - firstLife)) }

    // MARK: Clients

    /// Whether a client can continue at a place.
    enum Check {
        case good
        case lost(Gap.Reason)
        /// The brokers have to say whether there is a record with this offset and, unless it is `nil`, this stamp.
        case ask([(partition: Int, offset: Int64, stamp: Stamp?)])
    }

    /// Whether the log still has the records that a client saw.
    func check(_ place: KafkaPlace) -> Check {
        guard place.tag == tag else { return .lost(.epoch) }
        var questions: [(partition: Int, offset: Int64, stamp: Stamp?)] = []
        for (partition, window) in windows.enumerated() {
            let progress = place.progress[partition]
            if let anchor = place.anchor, partition == place.partition {
                guard anchor >= window.low else { continue }
                guard anchor >= window.start, anchor < window.next else {
                    questions.append((partition, anchor, place.stamp))
                    continue
                }
                guard let entry = window.entry(at: anchor), entry.record.stamp != place.stamp else { continue }
                return .lost(reason(forLosing: anchor, of: partition))
            } else if progress.next > window.next {
                questions.append((partition, progress.next - 1, nil))
            }
        }
        return questions.isEmpty ? .good : .ask(questions)
    }

    func reason(forLosing offset: Int64, of partition: Int) -> Gap.Reason {
        losses.last { offset >= $0.from[partition] }?.reason ?? .epoch
    }

    /// Where a client continues that was at a place whose records are there.
    func resolution(_ place: KafkaPlace, for selection: Selection, partitionOf: (Topic) -> Int) -> Resolution {
        var place = place
        place.life = life
        if place.isOfOneEvent {
            place.isOfOneEvent = false
            let isAlone = selection.selectors.allSatisfy { selector in
                selector.exactTopic.map { partitionOf($0) == place.partition } ?? false
            }
            for (partition, window) in windows.enumerated() where partition != place.partition {
                place.progress[partition] = Progress(next: isAlone ? window.next : window.low)
            }
            guard isAlone else { return Resolution(position: place.position, gap: .ambiguous) }
        }
        guard zip(windows, place.progress).contains(where: { $0.hasMissed(selection, after: $1) }) else {
            return Resolution(position: place.position)
        }
        for (partition, window) in windows.enumerated() where place.progress[partition].next < window.low {
            place.progress[partition] = Progress(next: window.low)
            if partition == place.partition { place.stamp = nil }
        }
        return Resolution(position: place.position, gap: .trimmed)
    }

    /// Finds the earliest selected event with the id of a publisher in the windows.
    func resolution(
        ofID id: String, for selection: Selection, partitionOf: (Topic) -> Int
    ) -> Resolution {
        var found: (place: KafkaPlace, time: Int64)?
        for window in windows {
            guard let offset = window.offset(ofID: id, for: selection), let entry = window.entry(at: offset),
                entry.record.time < found?.time ?? .max
            else { continue }
            let index = entry.events.firstIndex { $0.hasID(id) && selection.contains($0) } ?? 0
            let record = entry.record
            found = (
                place(record.partition, record.offset, record.stamp, event: index, of: entry.events.count), record.time
            )
        }
        guard let found else { return Resolution(position: start.position, gap: .unknown) }
        if windows.contains(where: { $0.hasLostAnOccurrence(ofID: id) }) {
            return Resolution(position: start.position, gap: .trimmed)
        }
        return resolution(found.place, for: selection, partitionOf: partitionOf)
    }

    /// The place of one event: on a topic with several partitions, it says nothing of the others.
    func place(
        _ partition: Int, _ offset: Int64, _ stamp: Stamp, event index: Int, of count: Int
    ) -> KafkaPlace {
        var progress = [Progress](repeating: Progress(next: 0), count: windows.count)
        progress[partition] =
            index < count - 1 ? Progress(next: offset, part: index + 1) : Progress(next: offset + 1)
        return KafkaPlace(
            tag, stamp, partition: partition, progress, life: life, isOfOneEvent: windows.count > 1)
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if Kafka
import DequeModule
import Martlet
import MartletSupport

/// One call of ``KafkaLog/read(_:after:through:limit:)``: partition by partition, what is older than the windows from
/// the brokers, and the rest from the windows. A value.
struct TopicReading {
    enum Step {
        case done
        /// Another part of the windows follows; the lock was held for long enough.
        case again
        /// Read these offsets from the brokers, from the first on, and go on with what was read.
        case fetch(partition: Int, offsets: Range<Int64>)
    }

    private let selection: Selection?
    /// Where to stop, and its text.
    private let through: (place: KafkaPlace, position: Position)
    private var builder: SliceBuilder
    /// Where the reader is; `nil` for the earliest position.
    private var place: KafkaPlace?
    private var hasBegun = false
    /// The part of history that was last read from the brokers.
    private var chunk: HistoryChunk?

    /// The most comparisons of an event with a pattern in one step, about, so that the lock is free for others in between.
    private static let mostScanned = 4096

    init(
        _ selection: Selection?, after place: KafkaPlace?, through: KafkaPlace, position: Position, limit: SliceLimit
    ) {
        self.selection = selection
        self.place = place
        self.through = (through, position)
        builder = SliceBuilder(selection, limit: limit, end: position)
    }

    var slice: Slice { builder.slice }

    /// Where the reader stops, if records behind it were lost after that place was made.
    private func end(in state: TopicState) -> [Progress] {
        state.losses(since: through.place.life).reduce(through.place.progress) { progress, loss in
            zip(progress, loss.from).map { min($0, Progress(next: $1)) }
        }
    }

    /// Goes on as far as the windows go.
    ///
    /// - Parameter chunk: The records that the last step asked for.
    mutating func advance(in state: TopicState, with chunk: HistoryChunk? = nil) -> Step {
        if let chunk { self.chunk = chunk }
        let end = end(in: state)
        var place = place ?? state.start
        if !hasBegun {
            begin(at: &place, end, in: state)
            hasBegun = true
        }
        defer { self.place = place }
        var scanned = 0
        let patterns = max(1, selection?.patternCount ?? 1)
        for (partition, end) in Self.order(from: place, to: end) {
            while place.progress[partition] < end {
                let next = place.progress[partition].next
                guard let source = source(of: partition, at: next, in: state) else {
                    let stop = end.part > 0 ? end.next + 1 : end.next
                    let start = state.windows[partition].start
                    return .fetch(partition: partition, offsets: next..<(next < start ? min(stop, start) : stop))
                }
                var index = source.index(from: next)
                while place.progress[partition] < end, let record = source.record(at: index) {
                    guard scanned < Self.mostScanned else { return .again }
                    guard take(record, upTo: end, &place) else { return .done }
                    scanned += patterns * max(1, record.content?.events.count ?? 1)
                    index += 1
                }
                // There are no other records up to the end of the source.
                if place.progress[partition] < end {
                    jump(partition, to: min(Progress(next: source.end), end), &place)
                }
            }
        }
        // Of some partitions the reader may have had more.
        let all = zip(place.progress, through.place.progress).map { max($0, $1) }
        if all != through.place.progress {
            for partition in all.indices { jump(partition, to: all[partition], &place) }
            builder.slice.end = place.position
        }
        return .done
    }

    /// The parts of the way, each a partition and how far to read it. Only one partition can be read in part of a
    /// record: such a record at the beginning is finished first, and one at the end comes last.
    private static func order(from place: KafkaPlace, to end: [Progress]) -> [(partition: Int, end: Progress)] {
        var parts: [(partition: Int, end: Progress)] = []
        let own = place.progress[place.partition]
        if own.part > 0 {
            parts.append((place.partition, min(end[place.partition], Progress(next: own.next + 1))))
        }
        let last = end.firstIndex { $0.part > 0 }
        for partition in end.indices where partition != last { parts.append((partition, end[partition])) }
        if let last { parts.append((last, end[last])) }
        return parts
    }

    /// Reports what the reader has missed.
    private mutating func begin(at place: inout KafkaPlace, _ end: [Progress], in state: TopicState) {
        let isEarliest = self.place == nil
        if !isEarliest, place.life < through.place.life, let loss = state.losses(since: place.life).first {
            for loss in state.losses(since: place.life) {
                for partition in place.progress.indices where place.progress[partition].next > loss.from[partition] {
                    jump(partition, to: Progress(next: loss.from[partition]), &place)
                }
            }
            place.life = through.place.life
            builder.slice.gapReason = loss.reason
            builder.slice.gap = Self.front(of: place)
        }
        var hasMissed = false
        for (partition, window) in state.windows.enumerated() {
            let progress = place.progress[partition]
            guard progress < end[partition], progress.next < window.low else { continue }
            hasMissed = hasMissed || (!isEarliest && window.hasMissed(selection, after: progress))
            jump(partition, to: min(Progress(next: window.low), end[partition]), &place)
        }
        guard hasMissed else { return }
        if builder.slice.gap == nil { builder.slice.gapReason = .trimmed }
        builder.slice.gap = Self.front(of: place)
    }

    /// The position in front of the next record.
    private static func front(of place: KafkaPlace) -> Position {
        var place = place
        if place.progress[place.partition].part == 0 { return place.position }
        place.progress[place.partition].part = 0
        place.stamp = nil
        return place.position
    }

    /// There is nothing for the reader up to there.
    private func jump(_ partition: Int, to progress: Progress, _ place: inout KafkaPlace) {
        guard place.progress[partition] != progress else { return }
        place.progress[partition] = progress
        if place.partition == partition {
            place.stamp =
                progress == through.place.progress[partition] && partition == through.place.partition
                ? through.place.stamp : nil
        }
    }

    /// Where the records from an offset on are; `nil` if only the brokers have them.
    private func source(of partition: Int, at offset: Int64, in state: TopicState) -> Source? {
        let window = state.windows[partition]
        if offset >= window.start, offset < window.next { return .window(window) }
        if let chunk, chunk.partition == partition, chunk.offsets.contains(offset) { return .chunk(chunk) }
        return state.chunk(of: partition, at: offset).map(Source.chunk)
    }

    private enum Source {
        case window(PartitionWindow)
        case chunk(HistoryChunk)

        /// Up to where it has all records.
        var end: Int64 {
            switch self {
            case .window(let window): window.next
            case .chunk(let chunk): chunk.end
            }
        }

        /// Of the first record from an offset on.
        func index(from offset: Int64) -> Int {
            switch self {
            case .window(let window): window.entries.partitioningIndex { $0.record.offset >= offset }
            case .chunk(let chunk): chunk.records.partitioningIndex { $0.offset >= offset }
            }
        }

        /// `nil` behind the last record.
        func record(at index: Int) -> KafkaRecord? {
            switch self {
            case .window(let window): index < window.entries.count ? window.entries[index].record : nil
            case .chunk(let chunk): index < chunk.records.count ? chunk.records[index] : nil
            }
        }
    }

    /// The brokers have removed more in the meantime.
    ///
    /// - Returns: Whether the reader can go on at once; otherwise the events in front of the gap come first.
    mutating func overtaken() -> Bool {
        guard builder.slice.records.isEmpty, builder.slice.gap == nil, let place else {
            if let place { builder.stop(at: place.position) }
            return false
        }
        hasBegun = false
        self.place = place
        return true
    }

    /// Takes the events of a record that the reader does not have yet.
    ///
    /// - Returns: `false` if there is no room.
    private mutating func take(_ record: KafkaRecord, upTo end: Progress, _ place: inout KafkaPlace) -> Bool {
        let (partition, offset) = (record.partition, record.offset)
        let events = record.content?.events ?? []
        var next = place
        next.partition = partition
        next.stamp = record.stamp
        next.life = through.place.life
        let first = offset == place.progress[partition].next ? place.progress[partition].part : 0
        for index in events.indices.dropFirst(first) {
            next.progress[partition] =
                index < events.count - 1 ? Progress(next: offset, part: index + 1) : Progress(next: offset + 1)
            guard next.progress[partition] <= end else { return true }
            guard builder.append(events[index], at: next.position) else {
                builder.stop(at: place.position)
                return false
            }
            place = next
        }
        next.progress[partition] = Progress(next: offset + 1)
        if next.progress[partition] <= end { place = next }
        return true
    }
}
#endif

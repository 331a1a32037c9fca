// SPDX-License-Identifier: Apache-2.0

#if Kafka
public import Martlet
import MartletSupport
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

extension KafkaLog {
    public func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        if after == through { return Slice(records: [], end: through, isComplete: true) }
        guard node.state.withLock({ $0 != nil }) else { throw MartletError.logNotOpen }
        let start = try after == .earliest ? nil : node.place(after)
        var reading = TopicReading(
            selection, after: start, through: try node.place(through), position: through, limit: limit)
        var chunk: HistoryChunk?
        while true {
            switch node.state.withLock({ $0.map { reading.advance(in: $0, with: chunk) } }) {
            case nil, .done?: return reading.slice
            case .again?: await Task.yield()
            case .fetch(let partition, let offsets)?:
                let low = node.state.withLock { $0?.windows[partition].low ?? 0 }
                let life = node.state.withLock { $0?.life }
                switch try await self.reading({ try $0.records(of: partition, in: offsets, low: low) }) {
                case .chunk(let read):
                    chunk = read
                    // It may be of before a loss that was found meanwhile.
                    node.state.withLock { if $0?.life == life { $0?.keep(read) } }
                case .removed(let low):
                    // What this node has not read yet is for its own thread to notice.
                    node.state.withLock { state in
                        let next = state?.windows[partition].next ?? 0
                        state?.raiseLow(of: partition, to: min(low, next))
                    }
                    guard reading.overtaken() else { return reading.slice }
                }
            }
        }
    }

    public func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        if id.isExactly(Position.earliest.text) { return Resolution(position: .earliest) }
        let count = node.partitions
        let partitionOf = { (topic: Topic) in KafkaNode.partition(of: topic, among: count) }
        guard let place = KafkaPlace(id, partitions: count) else {
            return try withState { $0.resolution(ofID: id, for: selection, partitionOf: partitionOf) }
        }
        switch try withState({ $0.check(place) }) {
        case .good: break
        case .lost(let reason): return try startAgain(reason)
        case .ask(let questions):
            for (partition, offset, stamp) in questions {
                let found = try await reading { try $0.find(offset, of: partition) }
                switch found {
                case .record(let other) where stamp.map { $0 != other } ?? false:
                    return try startAgain(withState { $0.reason(forLosing: offset, of: partition) })
                case .beyondEnd: return try startAgain(.rolledBack)
                case .record, .nothing, .removed: break
                }
            }
        }
        return try withState { $0.resolution(place, for: selection, partitionOf: partitionOf) }
    }

    /// Everything in history follows.
    private func startAgain(_ reason: Gap.Reason) throws -> Resolution {
        Resolution(position: try withState { $0.start.position }, gap: reason)
    }

    public func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        let oldest = RecordTime.now - max(0, age.wholeMilliseconds)
        var (place, answers) = try withState { state in
            (state.end, state.windows.map { $0.offset(since: oldest) })
        }
        for (partition, answer) in answers.enumerated() {
            var offset: Int64
            switch answer {
            case .from(let found): offset = found
            case .before(let start):
                let timeout = node.configuration.requestTimeout
                let found = try await reading {
                    $0.consumer.client.offset(of: partition, since: oldest, within: timeout)
                }
                offset = min(start, found ?? 0)
            }
            offset = max(offset, try withState { $0.windows[partition].low })
            guard offset < place.progress[partition].next else { continue }
            place.progress[partition] = Progress(next: offset)
            if partition == place.partition { place.stamp = nil }
        }
        let hasRemoved = try withState { state in
            zip(state.windows, place.progress).contains { window, progress in
                progress.next <= window.low && window.hasRemoved(selection, since: oldest)
            }
        }
        return Resolution(position: place.position, gap: hasRemoved ? .trimmed : nil)
    }

    /// What the state topic and the events that this node has read since say; without a state topic, what the events say
    /// from the window on that the node has read first.
    public func present(through end: Position) async throws -> Present {
        guard node.state.withLock({ $0 != nil }) else { throw MartletError.logNotOpen }
        if end != .earliest {
            let place = try node.place(end)
            try await withTimeout(node.configuration.patience, throwing: MartletError.logUnreachable()) { [node] in
                try await node.hasRead.wait { () throws -> Void? in
                    if node.isClosed.load(ordering: .acquiring) { throw MartletError.logNotOpen }
                    return node.hasFolded(place) ? () : nil
                }
            }
        }
        return node.fold.withLock { $0.present(at: .now) }
    }

    private func withState<Value: Sendable>(_ body: (TopicState) throws -> Value) throws -> Value {
        let value = try node.state.withLock { state in try state.map(body) }
        guard let value else { throw MartletError.logNotOpen }
        return value
    }
}

extension KafkaNode {
    /// The positions of the events that a partition has with an idempotency key; `nil` if it has none.
    ///
    /// - Throws: `keyReused` if these are other events.
    func accepted(_ events: [Event], once key: ExactText, in partition: Int) throws -> [Position]? {
        let fingerprint = PartitionWindow.fingerprint(events.map(\.withoutExpiry))
        return try state.withLock { state in
            guard let state, let accepted = state.windows[partition].accepted(once: key) else { return nil }
            guard accepted.count == events.count, accepted.fingerprint == fingerprint else {
                throw MartletError.keyReused
            }
            return events.indices.map { index in
                state.place(partition, accepted.offset, accepted.stamp, event: index, of: events.count).position
            }
        }
    }

    /// - Throws: `keyReused` if another partition has events with this idempotency key.
    func checkUnused(_ key: ExactText, outside partitions: [Int]) throws {
        try state.withLock { state in
            for (partition, window) in (state?.windows ?? []).enumerated() where !partitions.contains(partition) {
                guard window.accepted(once: key) == nil else { throw MartletError.keyReused }
            }
        }
    }

    /// Whether the node has folded everything up to a place, as far as it is still there.
    func hasFolded(_ place: KafkaPlace) -> Bool {
        let life = state.withLock { $0?.life ?? 0 }
        return place.life < life || fold.withLock { $0.covers(place) }
    }

    /// Whether the node has read the records with these positions.
    ///
    /// - Throws: `notRunning` if the log is closed.
    func hasReadAll(_ positions: [Position]) throws -> Bool {
        if isClosed.load(ordering: .acquiring) { throw MartletError.logNotOpen }
        let places = try positions.map { try place($0) }
        return state.withLock { state in
            places.allSatisfy { place in
                (state?.windows[place.partition].next ?? 0) > place.anchor ?? 0
            }
        }
    }
}

/// The clock that times of records follow.
enum RecordTime {
    /// Milliseconds since 1970.
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
#endif

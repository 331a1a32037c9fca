// SPDX-License-Identifier: Apache-2.0

#if Kafka
import DequeModule
import Logging
import Martlet
import MartletSupport
import Synchronization

/// Reads records that are older than the windows. For use on one thread.
final class HistoryReader {
    enum Answer: Sendable {
        case chunk(HistoryChunk)
        /// The brokers have removed the records in front of this offset.
        case removed(before: Int64)
    }

    /// The answer to whether there is a record with an offset.
    enum Found: Sendable {
        case record(Stamp)
        /// There is no record with this offset, but there are later ones.
        case nothing
        /// The record was removed, as those in front of it.
        case removed
        /// The partition ends in front of the offset.
        case beyondEnd
    }

    /// The most records of one answer.
    private static let mostRecords = 4096
    /// The bytes of events from which on an answer is complete.
    private static let mostBytes = 1024 * 1024
    /// How long one wait for records is, so that a log that closes need not wait for long.
    private static let longestWait = Duration.milliseconds(100)
    /// How long a broker may say nothing of an offset, before what it said of the end of the partition counts.
    private static let longestSilence = Duration.seconds(1)

    let consumer: EventConsumer
    private let node: KafkaNode
    /// The partition that is being read; `nil` if none is.
    private var partition: Int?
    /// The offset that is read next.
    private var next: Int64 = 0
    /// Items that the consumer returned and that are in no answer yet.
    private var pending: Deque<EventConsumer.Item> = []
    /// The last record with each idempotency key, among those that were read in one go.
    private var keys: [ExactText: Int64] = [:]

    init(_ consumer: EventConsumer, of node: KafkaNode) {
        self.consumer = consumer
        self.node = node
    }

    /// The records of a part of a range, beginning with its first.
    ///
    /// - Parameter low: The oldest offset that the brokers have, as far as the node knows.
    func records(of partition: Int, in range: Range<Int64>, low: Int64) throws(LogUnreachable) -> Answer {
        if self.partition != partition || next != range.lowerBound {
            // The idempotency keys of the records in front of the range count, too.
            try start(partition, at: max(0, low, range.lowerBound - PartitionWindow.repeatDistance))
        }
        var chunk = HistoryChunk(partition: partition, start: range.lowerBound)
        while chunk.records.count < Self.mostRecords, chunk.byteCount < Self.mostBytes {
            switch try item() {
            case .record(let record) where record.offset >= range.upperBound:
                pending.prepend(.record(record))
                return finish(&chunk, at: range.upperBound)
            case .record(var record):
                next = record.offset + 1
                if isRepeated(record) { record.content?.events = [] }
                guard record.offset >= range.lowerBound else { continue }
                chunk.append(record)
                if next >= range.upperBound { return finish(&chunk, at: range.upperBound) }
            case .end(_, let offset):
                // The end may have been reached long ago, while another range was read.
                guard offset >= range.upperBound else { continue }
                return finish(&chunk, at: range.upperBound)
            case nil: return .chunk(chunk)
            case .outOfRange:
                self.partition = nil
                let now = consumer.client.knownWatermarks(of: partition)?.lowerBound ?? 0
                if now > range.lowerBound { return .removed(before: now) }
                guard now > low else {
                    throw LogUnreachable("Partition \(partition) has no offset \(range.lowerBound).")
                }
                return try records(of: partition, in: range, low: now)
            }
        }
        return .chunk(chunk)
    }

    private func finish(_ chunk: inout HistoryChunk, at end: Int64) -> Answer {
        chunk.end = end
        next = end
        return .chunk(chunk)
    }

    private func isRepeated(_ record: KafkaRecord) -> Bool {
        guard let key = record.content?.key else { return false }
        if keys.count > Int(PartitionWindow.repeatDistance) {
            keys = keys.filter { record.offset - $0.value <= PartitionWindow.repeatDistance }
        }
        if let first = keys[key], record.offset - first <= PartitionWindow.repeatDistance { return true }
        keys[key] = record.offset
        return false
    }

    private func start(_ partition: Int, at offset: Int64) throws(LogUnreachable) {
        pending = []
        keys = [:]
        self.partition = nil
        try consumer.start(partition, at: offset)
        self.partition = partition
        next = offset
    }

    /// The next item; `nil` if none came before the closure, which knows for how long there was silence, gave up.
    private func item(
        orStop hasGivenUp: (_ silence: Duration) -> Bool = { _ in false }
    ) throws(LogUnreachable) -> EventConsumer.Item? {
        let begin = ContinuousClock.now
        while pending.isEmpty {
            pending = Deque(try consumer.next(within: Self.longestWait))
            guard pending.isEmpty else { break }
            if node.isClosed.load(ordering: .acquiring) { throw LogUnreachable("The log is closed.") }
            if let reason = consumer.client.takeTrouble().reason { throw LogUnreachable(reason) }
            let silence = ContinuousClock.now - begin
            if hasGivenUp(silence) { return nil }
            guard silence < node.configuration.requestTimeout else {
                throw LogUnreachable("The brokers did not answer in time.")
            }
        }
        return pending.popFirst()
    }

    /// Looks at one offset.
    func find(_ offset: Int64, of partition: Int) throws(LogUnreachable) -> Found {
        try start(partition, at: offset)
        // The next range is read from its own beginning.
        defer { self.partition = nil }
        let known = { [consumer] in consumer.client.knownWatermarks(of: partition) }
        // A broker may keep silent about an offset that does not exist.
        let item = try item { silence in
            silence > Self.longestSilence && known().map { $0.upperBound <= offset } ?? false
        }
        switch item {
        case .record(let record): return record.offset == offset ? .record(record.stamp) : .nothing
        case .end(_, let end): return end > offset ? .nothing : .beyondEnd
        case .outOfRange: return offset < known()?.lowerBound ?? 0 ? .removed : .beyondEnd
        case nil: return .beyondEnd
        }
    }
}
#endif

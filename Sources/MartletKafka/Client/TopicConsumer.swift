// SPDX-License-Identifier: Apache-2.0

#if Kafka
import CRdkafka
import Logging
import Martlet
import MartletSupport

/// A record of a partition, as far as the log needs it. A value.
struct KafkaRecord: Sendable {
    var partition: Int
    var offset: Int64
    /// Milliseconds since 1970; 0 or less if the record has no time.
    var time: Int64
    var stamp: Stamp
    /// `nil` if the record is neither an event nor a notice.
    var content: RecordFormat.Content?

    var byteCount: Int {
        guard let content else { return 0 }
        return content.events.reduce(content.key?.string.utf8.count ?? 0) { $0 + $1.byteCount }
    }
}

/// Reads the events of the topic of a log.
typealias EventConsumer = TopicConsumer<KafkaRecord>

/// Reads partitions of a topic from offsets that are given, outside of any consumer group. For use on one thread.
final class TopicConsumer<Message> {
    /// Reads a record of a topic that has so many partitions.
    typealias Read = (_ message: UnsafePointer<rd_kafka_message_t>, _ partitions: Int) -> Message

    enum Item {
        case record(Message)
        /// There is nothing behind this offset yet.
        case end(partition: Int, offset: Int64)
        /// The offset that was to be read is not there.
        case outOfRange(partition: Int)
    }

    let client: KafkaClient
    private let queue: OpaquePointer
    private let read: Read
    private var partitions = 1
    private var started: Set<Int> = []
    /// For the answers of the library. Its size is the most items that are taken at once.
    private let messages = UnsafeMutableBufferPointer<UnsafeMutablePointer<rd_kafka_message_t>?>.allocate(
        capacity: 1024)

    init(_ configuration: KafkaLogConfiguration, logger: Logger, read: @escaping Read) throws {
        client = try KafkaClient(.consumer, configuration, logger: logger)
        guard let queue = rd_kafka_queue_new(client.handle) else {
            throw LogUnreachable("There is no memory for a queue.")
        }
        self.queue = queue
        self.read = read
    }

    deinit {
        for partition in started { rd_kafka_consume_stop(client.topic, Int32(partition)) }
        rd_kafka_queue_destroy(queue)
        messages.deallocate()
    }

    /// Reaches the brokers. Returns the number of partitions.
    func connect(within time: Duration) throws(LogUnreachable) -> Int {
        partitions = try client.partitions(within: time)
        return partitions
    }

    /// In place of an offset: the oldest record.
    static var beginning: Int64 { Int64(RD_KAFKA_OFFSET_BEGINNING) }

    /// Begins to read a partition at an offset; if it is read already, only there from now on.
    func start(_ partition: Int, at offset: Int64) throws(LogUnreachable) {
        stop(partition)
        guard rd_kafka_consume_start_queue(client.topic, Int32(partition), offset, queue) == 0 else {
            throw LogUnreachable(KafkaClient.message(rd_kafka_last_error()))
        }
        started.insert(partition)
    }

    /// Stops reading a partition, and drops its records that were not taken.
    func stop(_ partition: Int) {
        if started.remove(partition) != nil { rd_kafka_consume_stop(client.topic, Int32(partition)) }
    }

    /// Returns the next items. If there are none, waits for them up to a time.
    ///
    /// - Throws: ``LogUnreachable`` if a partition cannot be read.
    func next(within time: Duration) throws(LogUnreachable) -> [Item] {
        guard let first = rd_kafka_consume_queue(queue, Int32(clamping: time.wholeMilliseconds)) else { return [] }
        messages[0] = first
        let more = rd_kafka_consume_batch_queue(
            queue, 0, messages.baseAddress.map { $0 + 1 }, messages.count - 1)
        let count = 1 + max(0, more)
        defer {
            for index in 0..<count { rd_kafka_message_destroy(messages[index]) }
        }
        var items: [Item] = []
        items.reserveCapacity(count)
        for index in 0..<count {
            guard let message = messages[index] else { continue }
            items.append(try item(message))
        }
        return items
    }

    private func item(_ message: UnsafePointer<rd_kafka_message_t>) throws(LogUnreachable) -> Item {
        let partition = Int(message.pointee.partition)
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            return .record(read(message, partitions))
        case RD_KAFKA_RESP_ERR__PARTITION_EOF: return .end(partition: partition, offset: message.pointee.offset)
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
            return .outOfRange(partition: partition)
        default: throw LogUnreachable("Partition \(partition): \(KafkaClient.message(message.pointee.err)).")
        }
    }
}
#endif

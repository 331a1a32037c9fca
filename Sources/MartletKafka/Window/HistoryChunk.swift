// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet

/// A part of a partition that is older than the window, as it was read from the brokers. A value.
struct HistoryChunk: Sendable {
    let partition: Int
    let start: Int64
    /// Up to where the chunk has all records.
    var end: Int64
    private(set) var records: [KafkaRecord] = []
    private(set) var byteCount = 0

    init(partition: Int, start: Int64) {
        self.partition = partition
        self.start = start
        end = start
    }

    var offsets: Range<Int64> { start..<end }

    mutating func append(_ record: KafkaRecord) {
        records.append(record)
        byteCount += Event.overheadBytes + record.byteCount
        end = record.offset + 1
    }
}
#endif

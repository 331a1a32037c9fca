// SPDX-License-Identifier: Apache-2.0

#if Kafka
import CRdkafka
import Logging
import Martlet
import MartletSupport
import Synchronization

/// What the threads and the callers of a ``KafkaLog`` share.
final class KafkaNode: Sendable {
    /// This instance of the log.
    let name = NodeName().text
    let configuration: KafkaLogConfiguration
    let logger: Logger
    let reachability: Reachability
    /// What the node knows of the topic; `nil` until it has seen the topic.
    let state = Mutex<TopicState?>(nil)
    /// What the events that the node has read say of topics and keys, and what the state topic has of it.
    let fold: Mutex<StateFold>
    /// How many partitions the state topic has; 0 if there is none, or it was not read yet.
    let statePartitions = Atomic(0)
    /// Fires when records were read.
    let hasRead = Signal()
    let isClosed = Atomic(false)
    /// Whether the node is connected and reads. Nothing is published otherwise: a producer might make a lost topic again,
    /// with as many partitions as the brokers like.
    let isFollowing = Atomic(false)
    let fault = Mutex<MartletError?>(nil)
    /// The number of records that were skipped because they are not events.
    let skipped = Atomic(0)
    /// When the node last had everything that the brokers have, as far as it knows; `nil` if it has.
    let behindSince = Mutex<ContinuousClock.Instant?>(nil)

    init(_ configuration: KafkaLogConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        fold = Mutex(StateFold(configuration.stateBounds))
        reachability = Reachability(of: configuration.name, logger: logger)
    }

    /// - Parameter partitions: How many the topic has; nothing but reading depends on it.
    func format(partitions: Int = 1) -> RecordFormat {
        RecordFormat(
            map: configuration.map, encoding: configuration.encoding, topicName: configuration.topic,
            limits: configuration.limits, partitions: partitions)
    }

    /// How the state topic is written; `nil` until the node has seen the topic.
    var stateFormat: StateFormat? {
        state.withLock { state in
            state.map { StateFormat(tag: $0.tag, partitions: $0.windows.count, limits: configuration.limits) }
        }
    }

    var partitions: Int { state.withLock { $0?.windows.count ?? 1 } }

    /// Connects a consumer. It reads nothing yet.
    func connect() throws -> (consumer: EventConsumer, partitions: Int) {
        var format = format()
        let consumer = try EventConsumer(configuration, logger: logger) { [name] message, partitions in
            format.partitions = partitions
            return format.read(message, of: name)
        }
        return (consumer, try asking { time throws(LogUnreachable) in try consumer.connect(within: time) })
    }

    /// Asks the brokers something until they answer, or the time for a request is over.
    func asking<Answer>(_ ask: (Duration) throws(LogUnreachable) -> Answer) throws(LogUnreachable) -> Answer {
        let deadline = ContinuousClock.now + configuration.requestTimeout
        while true {
            do {
                return try ask(min(Self.shortWait, configuration.requestTimeout))
            } catch {
                // Asked again rather than for longer, so that a log that closes need not wait for long.
                guard .now < deadline, !isClosed.load(ordering: .acquiring) else { throw error }
            }
        }
    }

    /// How long one question for a topic is.
    static let shortWait = Duration.milliseconds(500)

    /// The partition of a topic: what the usual producers of Java choose for its name as a key.
    static func partition(of topic: Topic, among partitions: Int) -> Int {
        partition(ofKey: Array(topic.name.utf8), among: partitions)
    }

    /// The partition of a record with a key.
    static func partition(ofKey key: [UInt8], among partitions: Int) -> Int {
        guard partitions > 1 else { return 0 }
        return key.withUnsafeBytes { bytes in
            // The function looks at nothing but the key.
            Int(rd_kafka_msg_partitioner_murmur2(nil, bytes.baseAddress, bytes.count, Int32(partitions), nil, nil))
        }
    }

    /// The numbers of the events that belong into each partition, in the order of their first.
    func parts(of events: [Event]) -> [(partition: Int, events: [Int])] {
        let partitions = partitions
        if partitions == 1 { return [(0, Array(events.indices))] }
        var parts: [(partition: Int, events: [Int])] = []
        for (index, event) in events.enumerated() {
            let partition = Self.partition(of: event.topic, among: partitions)
            if let part = parts.firstIndex(where: { $0.partition == partition }) {
                parts[part].events.append(index)
            } else {
                parts.append((partition, [index]))
            }
        }
        return parts
    }

    /// The positions of the events of a record.
    func positions(_ partition: Int, _ offset: Int64, _ stamp: Stamp, of count: Int) -> [Position] {
        let place = state.withLock { $0?.place(partition, offset, stamp, event: count - 1, of: count) }
        guard var place else { return Array(repeating: .earliest, count: count) }
        let whole = place.progress[partition]
        return (0..<count).map { index in
            place.progress[partition] = index < count - 1 ? Progress(next: offset, part: index + 1) : whole
            return place.position
        }
    }

    /// The offset of one of the latest records of this node; `nil` if the node has not read it.
    func offset(ofOwnRecord number: UInt64) -> Int64? { state.withLock { $0?.ownOffsets[number] } }

    func place(_ position: Position) throws(MartletError) -> KafkaPlace {
        guard let place = KafkaPlace(position.text, partitions: partitions) else { throw .foreignPosition }
        return place
    }

    func covers(_ a: Position, _ b: Position) -> Bool {
        guard b != .earliest else { return true }
        guard a != .earliest, let a = try? place(a), let b = try? place(b) else { return false }
        return a.covers(b)
    }
}
#endif

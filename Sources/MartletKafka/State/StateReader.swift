// SPDX-License-Identifier: Apache-2.0

#if Kafka
import CRdkafka
import Logging
import Martlet
import MartletSupport
import Synchronization

/// A record of the state topic as it is. A value.
struct StateMessage: Sendable {
    let partition: Int
    let offset: Int64
    /// `nil` if it is none, or not UTF-8.
    let key: String?
    let value: [UInt8]?

    init(_ message: UnsafePointer<rd_kafka_message_t>) {
        let message = message.pointee
        partition = Int(message.partition)
        offset = message.offset
        key = message.key.flatMap { String(utf8: UnsafeRawBufferPointer(start: $0, count: message.key_len)) }
        value = message.payload.map { Array(UnsafeRawBufferPointer(start: $0, count: message.len)) }
    }
}

/// Reads the state topic when a node sees the topic of the events for the first time. For use on one thread.
///
/// Nodes write to the state topic what they have read, and then how far they had read. So whatever is read here, a node
/// that goes on reading events there has everything: events that are folded already change nothing.
struct StateReader {
    typealias StateConsumer = TopicConsumer<StateMessage>

    let node: KafkaNode

    /// How long one wait for records is.
    private static let longestWait = Duration.milliseconds(100)
    /// The time between two looks at whether the brokers know a new topic.
    private static let lookTime = Duration.milliseconds(50)

    // MARK: The topic

    /// Connects to the state topic. It is made if there is none, and if this node writes.
    ///
    /// - Parameter events: A client of the topic of the events.
    /// - Returns: `nil` if there is no state topic, and none is needed.
    func connect(_ events: KafkaClient) throws -> (consumer: StateConsumer, partitions: Int)? {
        guard let configuration = node.configuration.ofStateTopic else { return nil }
        let consumer = try StateConsumer(configuration, logger: node.logger) { message, _ in StateMessage(message) }
        if let found = try shape(consumer.client) { return (consumer, found.partitions) }
        guard !node.configuration.isReadOnly else {
            node.logger.notice(
                "There is no state topic, so this node knows of ended topics and values what its window says.",
                metadata: ["topic": "\(configuration.topic)"])
            return nil
        }
        do {
            let replicas = try shape(events)?.replicas ?? 1
            try events.makeCompactedTopic(
                configuration.topic, replicas: max(1, replicas), within: configuration.requestTimeout)
        } catch {
            throw LogUnreachable(
                "The state topic \(configuration.topic) does not exist and cannot be created (\(error)). Create it, for "
                    + "example with: kafka-topics.sh --create --topic \(configuration.topic) --partitions 1 --config "
                    + "cleanup.policy=compact. Without it (state= in the address), a restart forgets which topics have "
                    + "ended.")
        }
        node.logger.notice("The state topic was created.", metadata: ["topic": "\(configuration.topic)"])
        return (consumer, try waitForNewTopic(consumer.client))
    }

    private func shape(_ client: KafkaClient) throws(LogUnreachable) -> (partitions: Int, replicas: Int)? {
        try node.asking { time throws(LogUnreachable) in try client.shape(within: time) }
    }

    private func waitForNewTopic(_ client: KafkaClient) throws(LogUnreachable) -> Int {
        let deadline = ContinuousClock.now + node.configuration.requestTimeout
        let pause = BinarySemaphore()
        while .now < deadline, !node.isClosed.load(ordering: .acquiring) {
            if let found = try? client.shape(within: KafkaNode.shortWait) { return found.partitions }
            pause.wait(atMost: Self.lookTime)
        }
        throw LogUnreachable("The brokers do not know the new state topic yet.")
    }

    // MARK: Reading

    /// Reads what the state topic has.
    ///
    /// - Parameters:
    ///   - marks: For each partition of the topic of the events, the oldest offset, and the one behind the newest.
    ///   - events: A client of that topic.
    /// - Returns: For each of these partitions, where the state topic ends; `nil` if there is none.
    func load(_ tag: TopicTag, _ marks: [Range<Int64>], _ events: KafkaClient) throws -> [Int64]? {
        var fold = StateFold(node.configuration.stateBounds, partitions: marks.count)
        defer { node.fold.withLock { $0 = fold } }
        node.statePartitions.store(0, ordering: .releasing)
        guard let (consumer, partitions) = try connect(events) else { return nil }
        let format = StateFormat(tag: tag, partitions: marks.count, limits: node.configuration.limits)
        var unreadable = 0
        // Checkpoints are in the first: the other partitions have what is in front of them when it was read.
        for partition in 0..<partitions { unreadable += try read(partition, consumer, format, into: &fold) }
        fold.hasLoaded()
        var starts: [Int64] = []
        let reader = HistoryReader(try node.connect().consumer, of: node)
        for (partition, marks) in marks.enumerated() {
            starts.append(try end(of: partition, marks, reader, in: &fold))
        }
        fold.skip(before: starts)
        node.statePartitions.store(partitions, ordering: .releasing)
        report(fold, zip(marks, starts).reduce(0) { $0 + $1.0.upperBound - $1.1 }, unreadable)
        return starts
    }

    private func report(_ fold: StateFold, _ history: Int64, _ unreadable: Int) {
        let counts = fold.counts
        node.logger.info(
            "The state topic was read.",
            metadata: [
                "topics": "\(counts.topics)", "values": "\(counts.values)", "records-to-read": "\(history)",
            ])
        guard unreadable > 0 else { return }
        node.logger.warning(
            "Records of the state topic are ignored: of another topic or number of partitions, or not valid.",
            metadata: ["count": "\(unreadable)"])
    }

    /// Reads a partition of the state topic to its end. Returns how many of its records say nothing of this topic.
    private func read(
        _ partition: Int, _ consumer: StateConsumer, _ format: StateFormat, into fold: inout StateFold
    ) throws(LogUnreachable) -> Int {
        try consumer.start(partition, at: StateConsumer.beginning)
        defer { consumer.stop(partition) }
        var (next, unreadable) = (Int64(0), 0)
        var silentSince = ContinuousClock.now
        while true {
            if node.isClosed.load(ordering: .acquiring) { throw LogUnreachable("The log is closed.") }
            let items = try consumer.next(within: Self.longestWait)
            if !items.isEmpty { silentSince = .now }
            for item in items {
                switch item {
                case .record(let message):
                    next = message.offset + 1
                    let known = message.key.flatMap { format.read(key: $0, value: message.value) }
                    if let known { fold.load(known) } else { unreadable += 1 }
                case .end: return unreadable
                case .outOfRange: throw LogUnreachable("The state topic cannot be read from its beginning.")
                }
            }
            guard items.isEmpty else { continue }
            if let reason = consumer.client.takeTrouble().reason { throw LogUnreachable(reason) }
            let known = consumer.client.knownWatermarks(of: partition)
            if let known, known.upperBound <= next { return unreadable }
            guard .now - silentSince < node.configuration.requestTimeout else {
                throw LogUnreachable("The brokers did not answer in time.")
            }
        }
    }

    // MARK: Comparing with the topic of the events

    /// Up to where the state topic has what a partition of the events says.
    private func end(
        of partition: Int, _ marks: Range<Int64>, _ reader: HistoryReader, in fold: inout StateFold
    ) throws(LogUnreachable) -> Int64 {
        guard let checkpoint = fold.checkpoints[partition] else {
            return try endOfEvents(of: partition, marks, reader, in: &fold)
        }
        let end = checkpoint.progress.next
        guard checkpoint.offset >= marks.lowerBound else {
            if end < marks.lowerBound {
                node.logger.warning(
                    "The brokers have removed events that no node had read. What they said of topics and keys is lost.",
                    metadata: ["partition": "\(partition)", "from": "\(end)", "to": "\(marks.lowerBound)"])
            }
            return max(end, marks.lowerBound)
        }
        if case .record(checkpoint.stamp) = try reader.find(checkpoint.offset, of: partition) { return end }
        node.logger.warning(
            "The topic has lost records that the state topic knows.", metadata: ["partition": "\(partition)"])
        return try endOfEvents(of: partition, marks, reader, in: &fold)
    }

    /// Without a checkpoint that holds: forgets what comes from events that are no longer there. Those that the brokers
    /// have removed at the other end count as there.
    private func endOfEvents(
        of partition: Int, _ marks: Range<Int64>, _ reader: HistoryReader, in fold: inout StateFold
    ) throws(LogUnreachable) -> Int64 {
        let versions = fold.versions(of: partition).filter { $0.offset >= marks.lowerBound }
        // Those in front of the first that is not there are there.
        var (there, count) = (0, versions.count)
        while there < count {
            let middle = (there + count) / 2
            if case .record(versions[middle].stamp) = try reader.find(versions[middle].offset, of: partition) {
                there = middle + 1
            } else {
                count = middle
            }
        }
        fold.noCheckpoint(partition)
        if there < versions.count { fold.lost(partition, from: versions[there].offset) }
        return marks.lowerBound
    }
}
#endif

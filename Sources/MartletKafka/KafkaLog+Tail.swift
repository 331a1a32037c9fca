// SPDX-License-Identifier: Apache-2.0

#if Kafka
import DequeModule
import Logging
import Martlet
import MartletSupport
import Synchronization

/// Reads every partition of the topic, from the beginning of the window on. For use on one thread.
final class TopicFollower {
    private let log: KafkaLog
    private let node: KafkaNode
    /// The partitions whose end has not been reached since the log was opened.
    private var unread: Set<Int> = []
    /// The partitions whose last record has to be compared with what the node has read, because another log may be at
    /// the other end of a new connection.
    private var unverified: Set<Int> = []
    /// The last end of each partition: the offsets in front of it that the node has not read are of no record.
    private var ends: [Int: Int64] = [:]
    private var hasBegun = false
    private var skipped = 0
    private var lastLogged: ContinuousClock.Instant?
    private var nextCount = ContinuousClock.now
    /// When to ask again whether the brokers answer.
    private var nextQuestion = ContinuousClock.now
    private var delay: RetryDelay

    /// How long one wait for records is.
    private static let longestWait = Duration.milliseconds(100)
    /// The least time between two log messages about skipped records.
    private static let skipInterval = Duration.seconds(10)
    /// The time between two looks at the number of partitions.
    private static let countInterval = Duration.seconds(10)

    init(_ log: KafkaLog) {
        self.log = log
        node = log.node
        delay = RetryDelay(log.node.configuration.retryDelay)
    }

    private var configuration: KafkaLogConfiguration { node.configuration }
    private var isClosed: Bool { node.isClosed.load(ordering: .acquiring) }

    func run() {
        while !isClosed {
            do {
                try follow()
            } catch let error as KafkaLogError {
                guard hasBegun else { return log.lifecycle.failed(error) }
                // Until the topic is as it was.
                node.fault.withLock { $0 = MartletError(.storageFailed, "\(error)") }
                waitToRetry(after: error)
            } catch let error as ThreadError {
                return log.lifecycle.failed(KafkaLogError.noThread(error.description))
            } catch {
                guard !isClosed else { return }
                waitToRetry(after: error)
            }
        }
    }

    private func waitToRetry(after error: any Error) {
        node.isFollowing.store(false, ordering: .releasing)
        node.reachability.failed(error)
        log.lifecycle.pause(atMost: delay.next())
    }

    /// Connects, and reads while the connection lasts.
    private func follow() throws {
        let (consumer, count) = try node.connect()
        try checkCount(count)
        let tag = try tag(of: consumer)
        let known = node.state.withLock { $0.map { ($0.tag, $0.windows.count) } }
        if let known {
            guard known.1 == count else {
                throw KafkaLogError.otherPartitions(topic: configuration.topic, count: count, before: known.1)
            }
            if known.0 != tag { try begin(again: tag, consumer) }
        } else {
            try begin(tag, count, consumer)
        }
        try verify(consumer)
        node.reachability.answered()
        node.fault.withLock { $0 = nil }
        node.isFollowing.store(true, ordering: .releasing)
        try log.stateWriter.start()
        delay.succeeded()
        nextCount = .now + Self.countInterval
        while !isClosed {
            guard log.buffer.waitForRoom(atMost: configuration.checkInterval) else { continue }
            let items = try consumer.next(within: Self.longestWait)
            try take(items, consumer)
            try check(consumer)
        }
    }

    private func tag(of consumer: EventConsumer) throws(LogUnreachable) -> TopicTag {
        TopicTag(
            cluster: try consumer.client.clusterID(within: configuration.requestTimeout), topic: configuration.topic)
    }

    private func checkCount(_ count: Int) throws(KafkaLogError) {
        if count > 1, !configuration.hasManyPartitions {
            throw .manyPartitions(topic: configuration.topic, count: count)
        }
        if count > KafkaLogConfiguration.mostPartitions {
            throw .tooManyPartitions(topic: configuration.topic, count: count)
        }
    }

    // MARK: Beginning

    /// Sees the topic for the first time.
    private func begin(_ tag: TopicTag, _ count: Int, _ consumer: EventConsumer) throws {
        let marks = try (0..<count).map { try watermarks(of: $0, consumer) }
        let known = try StateReader(node: node).load(tag, marks, consumer.client)
        let windows = marks.enumerated().map { partition, marks in
            let wanted = max(Int64(configuration.windowRecords), PartitionWindow.repeatDistance)
            var start = max(marks.lowerBound, marks.upperBound - wanted)
            if let known {
                // The idempotency keys in front count, too.
                start = min(start, max(marks.lowerBound, known[partition] - PartitionWindow.repeatDistance))
            }
            return PartitionWindow(
                from: start, low: marks.lowerBound, trimmedTopics: configuration.trimmedTopics)
        }
        node.state.withLock { $0 = TopicState(tag, windows) }
        noteEdges()
        unread = Set(0..<count)
    }

    /// Sees that this is the topic of another cluster.
    private func begin(again tag: TopicTag, _ consumer: EventConsumer) throws {
        let lows = try (0..<node.partitions).map { try watermarks(of: $0, consumer).lowerBound }
        let stateTopic = try StateReader(node: node).connect(consumer.client)
        node.statePartitions.store(stateTopic?.partitions ?? 0, ordering: .releasing)
        node.state.withLock { $0?.tag = tag }
        node.fold.withLock { $0 = StateFold(configuration.stateBounds, partitions: lows.count) }
        lost(Dictionary(uniqueKeysWithValues: lows.enumerated().map { ($0, ($1, $1)) }), reason: .epoch)
    }

    /// The offset of the oldest record, and the one behind the newest.
    private func watermarks(of partition: Int, _ consumer: EventConsumer) throws -> Range<Int64> {
        try consumer.start(partition, at: EventConsumer.beginning)
        defer { consumer.stop(partition) }
        let deadline = ContinuousClock.now + configuration.requestTimeout
        while .now < deadline, !isClosed {
            _ = try consumer.next(within: Self.longestWait)
            if let marks = consumer.client.knownWatermarks(of: partition) { return marks }
            if let reason = consumer.client.takeTrouble().reason { throw LogUnreachable(reason) }
        }
        throw LogUnreachable("The brokers did not answer in time.")
    }

    /// Reads on from the last record that the node has, to see that it is still there.
    private func verify(_ consumer: EventConsumer) throws(LogUnreachable) {
        for partition in 0..<node.partitions { try verify(partition, consumer) }
    }

    private func verify(_ partition: Int, _ consumer: EventConsumer) throws(LogUnreachable) {
        let (next, stamp) = node.state.withLock { state in
            let window = state?.windows[partition]
            return (window?.next ?? 0, window?.lastStamp)
        }
        if stamp != nil { unverified.insert(partition) } else { unverified.remove(partition) }
        try consumer.start(partition, at: stamp == nil ? next : next - 1)
    }

    // MARK: Reading

    private func take(_ items: [EventConsumer.Item], _ consumer: EventConsumer) throws {
        guard !items.isEmpty else { return }
        node.reachability.answered()
        var records: [Record] = []
        var moved: Set<Int> = []
        for item in items {
            switch item {
            case .record(let record):
                guard !moved.contains(record.partition) else { continue }
                switch take(record) {
                case .new(let new): records += new
                case .known: break
                case .other:
                    deliver(&records)
                    moved.insert(record.partition)
                    try findLoss(record.partition, consumer)
                }
            case .end(let partition, let offset):
                ends[partition] = offset
                guard !moved.contains(partition) else { continue }
                unread.remove(partition)
                let next = node.state.withLock { $0?.windows[partition].next ?? 0 }
                guard unverified.remove(partition) != nil, offset < next else { continue }
                deliver(&records)
                moved.insert(partition)
                try findLoss(partition, consumer)
            case .outOfRange(let partition):
                guard moved.insert(partition).inserted else { continue }
                deliver(&records)
                try findPlace(partition, consumer)
            }
        }
        deliver(&records)
        logSkipped()
        try beginIfRead()
    }

    private enum Taken {
        case new([Record])
        /// The node has read it before.
        case known
        /// The node has read another record with this offset before.
        case other
    }

    private func take(_ record: KafkaRecord) -> Taken {
        let wasUnverified = unverified.remove(record.partition) != nil
        let taken: Taken = node.state.withLock { state in
            // Nothing may hold the window while it grows: it would be copied.
            let (next, stamp) = state.map { $0.windows[record.partition].edge } ?? (0, nil)
            if record.offset < next {
                guard wasUnverified, record.offset == next - 1 else { return .known }
                return stamp == record.stamp ? .known : .other
            }
            let records = state?.append(
                record, records: configuration.windowRecords, bytes: configuration.windowBytes)
            return .new(records ?? [])
        }
        if case .new = taken {
            if record.content == nil { skipped += 1 }
            if let notice = record.content?.notice { log.notices.deliver(notice) }
        }
        return taken
    }

    /// Hands over what was read.
    private func deliver(_ records: inout [Record]) {
        let end = noteEdges { fold in
            for record in records { fold.note(record, at: record.time ?? .now) }
        }
        if hasBegun, let end { log.buffer.append(records, end: end) }
        records = []
        node.hasRead.fire()
    }

    /// Tells the fold how far the node has read, after a closure has told it what. Returns where that is.
    @discardableResult
    private func noteEdges(_ body: (inout StateFold) -> Void = { _ in }) -> Position? {
        let (end, edges) = node.state.withLock { ($0?.end.position, $0?.edges ?? []) }
        node.fold.withLock { fold in
            body(&fold)
            fold.hasRead(edges)
        }
        return end
    }

    /// The log is open once the node has reached the end of each partition.
    private func beginIfRead() throws {
        guard !hasBegun, unread.isEmpty, let end = node.state.withLock({ $0?.end.position }) else { return }
        hasBegun = true
        log.buffer.begin(at: end)
        try log.opened()
    }

    private func logSkipped() {
        guard skipped > 0 else { return }
        if hasBegun { node.skipped.wrappingAdd(skipped, ordering: .relaxed) }
        if lastLogged.map({ .now - $0 > Self.skipInterval }) ?? true {
            node.logger.warning(
                "Records of the topic were skipped because they are not valid events.",
                metadata: ["count": "\(skipped)"])
            lastLogged = .now
        }
        skipped = 0
    }

    // MARK: Looking after the topic

    /// Compares what the brokers say with what the node has read.
    private func check(_ consumer: EventConsumer) throws {
        let trouble = consumer.client.takeTrouble()
        if let reason = trouble.reason { throw LogUnreachable(reason) }
        if trouble.wasDisconnected { try verify(consumer) }
        var isBehind = false
        for partition in 0..<node.partitions {
            guard let known = consumer.client.knownWatermarks(of: partition) else { continue }
            let next = node.state.withLock { state in
                let next = state?.windows[partition].next ?? 0
                state?.raiseLow(of: partition, to: min(known.lowerBound, next))
                return next
            }
            isBehind = isBehind || known.upperBound > max(next, ends[partition] ?? 0)
            if known.upperBound < next || known.lowerBound > next {
                try findPlace(partition, consumer)
            } else if known.upperBound == next, unread.remove(partition) != nil {
                try beginIfRead()
            }
        }
        let now = ContinuousClock.now
        node.behindSince.withLock { $0 = isBehind ? $0 ?? now : nil }
        // A publish may have failed although the topic can be read.
        let mayBeAway = !node.reachability.isReachable
        guard now >= (mayBeAway ? nextQuestion : nextCount) else { return }
        nextCount = now + Self.countInterval
        nextQuestion = now + configuration.checkInterval
        let count = try consumer.connect(within: KafkaNode.shortWait)
        let before = node.partitions
        guard count == before else {
            throw KafkaLogError.otherPartitions(topic: configuration.topic, count: count, before: before)
        }
        if mayBeAway { node.reachability.answered() }
    }

    /// The partition does not have the offset that the node reads next.
    private func findPlace(_ partition: Int, _ consumer: EventConsumer) throws {
        guard let known = consumer.client.knownWatermarks(of: partition) else {
            throw LogUnreachable("Partition \(partition) does not have the next offset.")
        }
        let next = node.state.withLock { $0?.windows[partition].next ?? 0 }
        guard known.lowerBound <= next else {
            _ = try connectToSameCluster()
            // Retention was faster than this node.
            node.state.withLock { $0?.raiseLow(of: partition, to: known.lowerBound) }
            let end = noteEdges()
            if hasBegun, let end { log.buffer.append(gap: (end, .trimmed), [], end: end) }
            return try verify(partition, consumer)
        }
        if known.upperBound < next { try findLoss(partition, consumer) } else { try verify(partition, consumer) }
    }

    /// Finds out which of the records that the node has read are still there, and goes on behind them.
    private func findLoss(_ partition: Int, _ consumer: EventConsumer) throws {
        let reader = HistoryReader(try connectToSameCluster(), of: node)
        let window = node.state.withLock { $0?.windows[partition] }
        guard let window else { return }
        // Those in front of the first that is not there are there.
        var (there, end) = (0, window.entries.count)
        while there < end {
            let middle = (there + end) / 2
            let entry = window.entries[middle]
            if case .record(entry.record.stamp) = try reader.find(entry.record.offset, of: partition) {
                there = middle + 1
            } else {
                end = middle
            }
        }
        let low = consumer.client.knownWatermarks(of: partition)?.lowerBound ?? 0
        if there == window.entries.count, there > 0 { return try verify(partition, consumer) }
        if there > 0 {
            lost([partition: (window.entries[there - 1].record.offset + 1, low)], reason: .rolledBack)
        } else {
            lost([partition: (low, low)], reason: .epoch)
        }
        try verify(partition, consumer)
    }

    /// - Throws: ``LogUnreachable`` if another cluster answers now, so that everything begins again with that one.
    private func connectToSameCluster() throws -> EventConsumer {
        let (consumer, _) = try node.connect()
        let tag = try tag(of: consumer)
        guard node.state.withLock({ $0?.tag == tag }) else { throw LogUnreachable("Another cluster answers.") }
        return consumer
    }

    /// The log lost the records of some partitions: of each, from an offset on.
    private func lost(_ partitions: [Int: (from: Int64, low: Int64)], reason: Gap.Reason) {
        for (partition, loss) in partitions {
            ends[partition] = nil
            node.logger.error(
                "The topic has lost records.",
                metadata: ["partition": "\(partition)", "from": "\(loss.from)", "reason": "\(reason.rawValue)"])
        }
        node.state.withLock { $0?.lost(partitions, reason: reason) }
        let end = noteEdges { fold in
            for (partition, loss) in partitions { fold.lost(partition, from: loss.from) }
        }
        if hasBegun, let end { log.buffer.append(gap: (end, reason), [], end: end) }
        node.hasRead.fire()
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if Kafka
import CRdkafka
import Logging
import Martlet
import MartletSupport
import Synchronization

/// Writes to the state topic what the node has read, on a thread of its own. All nodes write the same.
///
/// A round writes what has changed since the last one, removes records that no longer count, and then says how far the
/// node had read when the round began. The order matters: what is said last is true only if everything before is there.
final class StateWriter: @unchecked Sendable {
    private struct State {
        var isStarted = false
        var isStopped = false
        var hasEnded = false
    }

    /// The most records that are sent together.
    private static let mostRecords = 500
    /// The bytes from which on a batch is complete.
    private static let mostBytes = 512 * 1024

    private let node: KafkaNode
    private let startThread: WorkThread.Starter
    private let state = Mutex(State())
    private let wake = BinarySemaphore()
    private let ended = Signal()

    // Only the thread uses these.
    private let producer: TopicProducer?
    private var delay: RetryDelay
    private var hasFailed = false

    init(_ node: KafkaNode, startThread: @escaping WorkThread.Starter) {
        self.node = node
        self.startThread = startThread
        delay = RetryDelay(node.configuration.retryDelay)
        producer = node.configuration.ofStateTopic.map { configuration in
            TopicProducer(configuration, logger: node.logger) { node.isClosed.load(ordering: .acquiring) }
        }
    }

    /// Starts the thread, once, unless the node only reads.
    ///
    /// - Throws: ``ThreadError`` if the system starts no more threads.
    func start() throws(ThreadError) {
        guard !node.configuration.isReadOnly, producer != nil else { return }
        let isFirst = state.withLock { state in
            defer { state.isStarted = true }
            return !state.isStarted && !state.isStopped
        }
        guard isFirst else { return }
        do {
            try startThread { self.run() }
        } catch {
            state.withLock { $0.isStarted = false }
            throw error
        }
    }

    /// Returns once the thread has ended. It writes what has changed, if the brokers answer.
    func stop() async {
        let runs = state.withLock { state in
            state.isStopped = true
            return state.isStarted && !state.hasEnded
        }
        guard runs else { return }
        wake.signal()
        await Task { try? await ended.wait { state.withLock { $0.hasEnded } ? () : nil } }.value
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    private func run() {
        while !isStopped {
            wake.wait(atMost: hasFailed ? delay.next() : node.configuration.stateInterval)
            if !isStopped { write() }
        }
        write()
        state.withLock { $0.hasEnded = true }
        ended.fire()
    }

    private func write() {
        guard node.isFollowing.load(ordering: .acquiring) else {
            producer?.prepare(isAway: true)
            return
        }
        guard node.statePartitions.load(ordering: .acquiring) > 0,
            node.fold.withLock({ $0.isDue(after: node.configuration.checkpointRecords) })
        else { return }
        do {
            try round()
            delay.succeeded()
            hasFailed = false
        } catch {
            if !hasFailed {
                node.logger.warning(
                    "The state topic cannot be written; trying again. A node that starts reads more history meanwhile.",
                    metadata: ["topic": "\(node.configuration.ofStateTopic?.topic ?? "")", "reason": "\(error)"])
            }
            hasFailed = true
        }
    }

    // MARK: One round

    /// A record to write.
    private struct Draft {
        var stored: StateFold.Stored
        var key: [UInt8]
        var value: [UInt8]
    }

    private func round() throws {
        guard let format = node.stateFormat else { return }
        // Of events that were lost: later ones may be in front of them, so they must be gone before those are written.
        try removeStale(format)
        let (names, edges) = node.fold.withLock { $0.takeChanged() }
        var rest = names[...]
        do {
            while !rest.isEmpty {
                let (drafts, count) = batch(rest, format)
                try write(drafts, format)
                rest = rest.dropFirst(count)
            }
        } catch {
            node.fold.withLock { $0.putBack(rest) }
            throw error
        }
        try removeStale(format)
        try writeCheckpoints(edges, format)
    }

    /// The first records about these names, and how many names they are.
    private func batch(_ names: ArraySlice<StateName>, _ format: StateFormat) -> ([Draft], Int) {
        var drafts: [Draft] = []
        var (count, bytes) = (0, 0)
        node.fold.withLock { fold in
            for name in names.prefix(Self.mostRecords) where bytes < Self.mostBytes {
                count += 1
                guard let (version, content) = fold.content(of: name) else { continue }
                let draft = Draft(
                    stored: .init(name: name, version: version), key: format.key(name, version),
                    value: format.value(content))
                bytes += draft.key.count + draft.value.count
                drafts.append(draft)
            }
        }
        return (drafts, count)
    }

    private func write(_ drafts: [Draft], _ format: StateFormat) throws {
        guard !drafts.isEmpty else { return }
        do {
            try send(drafts.map { ($0.key, $0.value) })
        } catch is TooLarge {
            for draft in drafts { try writeAlone(draft, format) }
        }
        node.fold.withLock { fold in
            for draft in drafts { fold.hasStored(draft.stored) }
        }
    }

    private func writeAlone(_ draft: Draft, _ format: StateFormat) throws {
        do {
            try send([(draft.key, draft.value)])
        } catch is TooLarge {
            node.logger.error(
                "A value is larger than the state topic accepts, so nodes that start do not know it. Raise max.message.bytes.",
                metadata: ["topic": "\(draft.stored.name.topic)"])
            // An older value must not count in its place.
            try send([(draft.key, format.value(.removed))])
        }
    }

    private func removeStale(_ format: StateFormat) throws {
        var rest = node.fold.withLock { $0.takeStale() }[...]
        do {
            while !rest.isEmpty {
                let some = rest.prefix(Self.mostRecords)
                try send(some.map { (format.key($0.name, $0.version), nil) })
                rest = rest.dropFirst(some.count)
            }
        } catch {
            node.fold.withLock { $0.putBack(stale: rest) }
            throw error
        }
    }

    private func writeCheckpoints(_ edges: [StateFold.Edge], _ format: StateFormat) throws {
        let before = node.fold.withLock { $0.checkpoints }
        let new = edges.enumerated().compactMap { partition, edge -> StateVersion? in
            guard let stamp = edge.stamp, before[partition]?.progress.next != edge.next else { return nil }
            return StateVersion(partition: partition, progress: Progress(next: edge.next), stamp: stamp)
        }
        guard !new.isEmpty else { return }
        try send(new.map { (format.foldedKey($0.partition), Array(format.text($0).utf8)) }, to: 0)
        node.fold.withLock { fold in
            for checkpoint in new { fold.hasStored(checkpoint) }
        }
    }

    // MARK: Sending

    /// A record is larger than the brokers accept.
    private struct TooLarge: Error {}

    /// Returns once the brokers have all of these records.
    ///
    /// - Parameter partition: `nil`: as their keys say.
    private func send(_ records: [(key: [UInt8], value: [UInt8]?)], to partition: Int? = nil) throws {
        let partitions = node.statePartitions.load(ordering: .acquiring)
        guard let producer else { return }
        let drafts = records.map { key, value in
            TopicProducer.Draft(
                partition: partition ?? KafkaNode.partition(ofKey: key, among: partitions), key: key, value: value,
                headers: [])
        }
        for outcome in try producer.send(drafts) {
            guard case .failed(let error, _) = outcome else { continue }
            switch error {
            case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: throw TooLarge()
            default: throw LogUnreachable(producer.trouble ?? KafkaClient.message(error))
            }
        }
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if Kafka
import CRdkafka
import Logging
import Martlet
import MartletSupport
import Synchronization

/// Publishes groups: one record for each publish, or, with several partitions, one for each partition of a publish.
/// Only the thread of the ``GroupPublisher`` calls it.
final class KafkaWriter: @unchecked Sendable {
    private let node: KafkaNode
    private let format: RecordFormat
    private let producer: TopicProducer
    /// The number of the last record of this node.
    private var lastNumber: UInt64 = 0

    /// How long one look for an own record among those that were read is.
    private static let lookTime = Duration.milliseconds(2)

    /// A record of a publish.
    private struct Part {
        var publish: Int
        /// Which events of the publish it has.
        var events: [Int]
        var partition: Int
        var number: UInt64
        var stamp: Stamp
    }

    init(_ node: KafkaNode) {
        self.node = node
        format = node.format()
        producer = TopicProducer(node.configuration, logger: node.logger) {
            node.isClosed.load(ordering: .acquiring)
        }
    }

    /// Called between two groups.
    func prepare() { producer.prepare(isAway: !node.isFollowing.load(ordering: .acquiring)) }

    func send(_ group: GroupPublisher.Group) throws -> [Result<[Position], MartletError>] {
        // Nothing was sent, so the group may be sent again.
        guard node.isFollowing.load(ordering: .acquiring) else { throw LogUnreachable("The topic cannot be read.") }
        var parts: [Part] = []
        var drafts: [TopicProducer.Draft] = []
        for (index, (events, key)) in group.publishes.enumerated() {
            for (partition, numbers) in node.parts(of: events) {
                lastNumber += 1
                let record = format.write(
                    numbers.map { events[$0] }, once: key, from: node.name, number: lastNumber)
                drafts.append(
                    .init(partition: partition, key: record.key, value: record.value, headers: record.headers))
                parts.append(
                    Part(publish: index, events: numbers, partition: partition, number: lastNumber, stamp: record.stamp)
                )
            }
        }
        let outcomes = try producer.send(drafts)
        var answers = group.publishes.map { publish in
            Result<[Position], MartletError>.success(Array(repeating: .earliest, count: publish.events.count))
        }
        for (part, outcome) in zip(parts, outcomes) {
            switch outcome {
            case .accepted(let offset):
                guard case .success(var positions) = answers[part.publish] else { continue }
                guard let offset = offset ?? findOffset(ofRecord: part.number) else {
                    answers[part.publish] = .failure(.logUnreachable(mayHaveAccepted: true))
                    continue
                }
                let own = node.positions(part.partition, offset, part.stamp, of: part.events.count)
                for (event, position) in zip(part.events, own) { positions[event] = position }
                answers[part.publish] = .success(positions)
            case .failed(let error, let mayHaveAccepted):
                answers[part.publish] = .failure(explain(error, mayHaveAccepted))
            }
        }
        return answers
    }

    private func explain(
        _ error: rd_kafka_resp_err_t, _ mayHaveAccepted: Bool
    ) -> MartletError {
        let message = KafkaClient.message(error)
        switch error {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
            return MartletError(
                .tooLarge, field: "data",
                "The publish is larger than the brokers accept (max.message.bytes). Send less at once.")
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
            RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, RD_KAFKA_RESP_ERR__INVALID_ARG,
            RD_KAFKA_RESP_ERR__AUTHENTICATION:
            node.logger.error("The brokers refuse events.", metadata: ["error": "\(message)"])
            return MartletError(
                .storageFailed, "The server of the log refuses events. Nothing was published; try again later.")
        case RD_KAFKA_RESP_ERR__QUEUE_FULL:
            return .logOverloaded
        default:
            node.reachability.failed(LogUnreachable(producer.trouble ?? message))
            return .logUnreachable(mayHaveAccepted: mayHaveAccepted)
        }
    }

    /// Waits until the node has read an own record whose offset the brokers did not say.
    private func findOffset(ofRecord number: UInt64) -> Int64? {
        let deadline = ContinuousClock.now + node.configuration.patience
        let pause = BinarySemaphore()
        while .now < deadline {
            if let offset = node.offset(ofOwnRecord: number) { return offset }
            pause.wait(atMost: Self.lookTime)
        }
        return nil
    }
}
#endif

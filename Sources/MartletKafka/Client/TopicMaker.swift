// SPDX-License-Identifier: Apache-2.0

#if Kafka
import CRdkafka
import Martlet
import MartletSupport

extension KafkaClient {
    /// How much longer than the brokers the library may take to answer.
    private static let extraTime = Duration.seconds(1)

    /// Makes a compacted topic with one partition, unless there is a topic with this name.
    ///
    /// - Throws: ``LogUnreachable`` if the brokers do not allow it, or do not answer.
    func makeCompactedTopic(_ name: String, replicas: Int, within time: Duration) throws(LogUnreachable) {
        var text = [CChar](repeating: 0, count: 512)
        guard let topic = rd_kafka_NewTopic_new(name, 1, Int32(clamping: replicas), &text, text.count) else {
            throw LogUnreachable(Self.text(text))
        }
        defer { rd_kafka_NewTopic_destroy(topic) }
        rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact")
        let event = try ask(RD_KAFKA_ADMIN_OP_CREATETOPICS, within: time) { options, queue in
            var topics: [OpaquePointer?] = [topic]
            rd_kafka_CreateTopics(handle, &topics, topics.count, options, queue)
        }
        defer { rd_kafka_event_destroy(event) }
        var count = 0
        guard let result = rd_kafka_event_CreateTopics_result(event),
            let outcomes = rd_kafka_CreateTopics_result_topics(result, &count), count > 0
        else { return }
        switch rd_kafka_topic_result_error(outcomes[0]) {
        // Another node was faster.
        case RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: return
        case let error:
            let reason = rd_kafka_topic_result_error_string(outcomes[0]).map { String(cString: $0) }
            throw LogUnreachable(reason ?? Self.message(error))
        }
    }

    /// Returns the answer to a question. The caller destroys it.
    private func ask(
        _ operation: rd_kafka_admin_op_t, within time: Duration,
        _ send: (_ options: OpaquePointer, _ queue: OpaquePointer) -> Void
    ) throws(LogUnreachable) -> OpaquePointer {
        guard let queue = rd_kafka_queue_new(handle) else {
            throw LogUnreachable("There is no memory for a queue.")
        }
        defer { rd_kafka_queue_destroy(queue) }
        guard let options = rd_kafka_AdminOptions_new(handle, operation) else {
            throw LogUnreachable("There is no memory for a request.")
        }
        defer { rd_kafka_AdminOptions_destroy(options) }
        var text = [CChar](repeating: 0, count: 512)
        let limit = Int32(clamping: max(1, time.wholeMilliseconds))
        rd_kafka_AdminOptions_set_request_timeout(options, limit, &text, text.count)
        send(options, queue)
        guard let event = rd_kafka_queue_poll(queue, Int32(clamping: (time + Self.extraTime).wholeMilliseconds)) else {
            throw LogUnreachable("The brokers did not answer in time.")
        }
        guard rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR else {
            defer { rd_kafka_event_destroy(event) }
            throw LogUnreachable(String(cString: rd_kafka_event_error_string(event)))
        }
        return event
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if Kafka
import CRdkafka
import Logging
import Martlet
import MartletSupport
import Synchronization

/// A client of librdkafka: a consumer or a producer. Its calls may block, so make them on a thread of the log.
final class KafkaClient {
    enum Role: CaseIterable {
        case consumer, producer
    }

    /// What happened to the connections since it was last asked.
    struct Trouble {
        /// Why no broker can be reached.
        var reason: String?
        /// Whether a connection was lost, so that another log may be at the other end now.
        var wasDisconnected = false
    }

    let handle: OpaquePointer
    let topic: OpaquePointer
    private let context: Context

    /// What the callbacks of the library receive. They are called on the library's threads and on those that poll.
    final class Context: Sendable {
        let logger: Logger
        let trouble = Mutex(Trouble())
        /// What explains best why no broker answers. The library says each reason once.
        let explanation = Mutex<(rank: Int, reason: String)?>(nil)
        /// Called with each record that was published, or could not be.
        let report: @Sendable (UnsafePointer<rd_kafka_message_t>) -> Void

        init(_ logger: Logger, report: @escaping @Sendable (UnsafePointer<rd_kafka_message_t>) -> Void) {
            self.logger = logger
            self.report = report
        }

        static func of(_ pointer: UnsafeMutableRawPointer?) -> Context? {
            pointer.map { Unmanaged<Context>.fromOpaque($0).takeUnretainedValue() }
        }

        func failed(_ error: rd_kafka_resp_err_t, _ reason: String) {
            // Of a connection that fails, another broker may answer.
            let (rank, isAway) =
                switch error {
                case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN: (0, true)
                case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__RESOLVE: (1, false)
                default: (2, true)
                }
            let best = explanation.withLock { explanation in
                if rank >= explanation?.rank ?? 0 { explanation = (rank, reason) }
                return explanation?.reason ?? reason
            }
            trouble.withLock { trouble in
                trouble.wasDisconnected = true
                if isAway { trouble.reason = best }
            }
        }
    }

    /// Settings that the log depends on, so users cannot change them.
    private static let fixed = [
        "bootstrap.servers", "enable.idempotence", "acks", "request.required.acks", "auto.offset.reset",
        "enable.partition.eof", "group.id", "transactional.id", "message.timeout.ms", "delivery.timeout.ms",
        "enable.auto.commit", "enable.auto.offset.store", "partitioner", "delivery.report.only.error",
    ].map(ExactText.init)

    private static func settings(_ role: Role, _ configuration: KafkaLogConfiguration) -> [(String, String)] {
        let patience = max(1, configuration.patience.wholeMilliseconds)
        let common = [
            ("bootstrap.servers", configuration.servers.joined(separator: ",")), ("client.id", "martlet"),
            ("reconnect.backoff.ms", "50"), ("reconnect.backoff.max.ms", "1000"), ("socket.keepalive.enable", "true"),
            ("topic.metadata.refresh.interval.ms", "10000"), ("log.connection.close", "false"),
        ]
        switch role {
        case .consumer:
            return common + [
                ("auto.offset.reset", "error"), ("enable.partition.eof", "true"), ("enable.auto.commit", "false"),
                ("fetch.wait.max.ms", "100"), ("fetch.error.backoff.ms", "50"), ("queued.min.messages", "10000"),
                ("queued.max.messages.kbytes", "8192"),
            ]
        case .producer:
            return common + [
                ("enable.idempotence", "true"), ("acks", "all"), ("linger.ms", "0"), ("retry.backoff.ms", "50"),
                // The brokers decide, and say so.
                ("message.max.bytes", "100000000"), ("message.timeout.ms", "\(patience)"),
            ]
        }
    }

    /// The library's form of the settings. The caller destroys it, or gives it to a client.
    private static func makeConfiguration(
        _ role: Role, _ configuration: KafkaLogConfiguration
    ) throws(KafkaLogError) -> OpaquePointer {
        guard let made = rd_kafka_conf_new() else {
            throw .invalidSetting(name: "", reason: "there is no memory for the settings")
        }
        func set(_ name: String, _ value: String) throws(KafkaLogError) {
            var text = [CChar](repeating: 0, count: 512)
            guard rd_kafka_conf_set(made, name, value, &text, text.count) != RD_KAFKA_CONF_OK else { return }
            rd_kafka_conf_destroy(made)
            // The message of the library may repeat the value.
            let reason = Self.text(text)
            throw .invalidSetting(
                name: name,
                reason: reason.utf8.contains(value.utf8) && !value.isEmpty
                    ? "librdkafka does not accept the value." : "\(reason).")
        }
        for (name, value) in settings(role, configuration) { try set(name, value) }
        for (name, value) in configuration.properties {
            guard !fixed.contains(ExactText(name)) else {
                rd_kafka_conf_destroy(made)
                throw .invalidSetting(name: name, reason: "Martlet sets it itself. Leave it out.")
            }
            try set(name, value)
        }
        return made
    }

    static func check(_ role: Role, _ configuration: KafkaLogConfiguration) throws(KafkaLogError) {
        rd_kafka_conf_destroy(try makeConfiguration(role, configuration))
    }

    /// - Parameter report: Called with each record that was published, or could not be, while this client is polled.
    /// - Throws: ``KafkaLogError`` if a setting is not accepted.
    init(
        _ role: Role, _ configuration: KafkaLogConfiguration, logger: Logger,
        report: @escaping @Sendable (UnsafePointer<rd_kafka_message_t>) -> Void = { _ in }
    ) throws {
        let made = try Self.makeConfiguration(role, configuration)
        let context = Context(logger, report: report)
        // Released once the client is destroyed.
        let retained = Unmanaged.passRetained(context)
        rd_kafka_conf_set_opaque(made, retained.toOpaque())
        rd_kafka_conf_set_error_cb(made) { _, error, reason, opaque in
            Context.of(opaque)?.failed(
                rd_kafka_resp_err_t(error), reason.map { String(cString: $0) } ?? "unknown error")
        }
        rd_kafka_conf_set_log_cb(made) { handle, _, _, text in
            guard let handle, let text else { return }
            Context.of(rd_kafka_opaque(handle))?.logger.debug(
                "The Kafka client says something.", metadata: ["text": "\(String(cString: text))"])
        }
        if role == .producer {
            rd_kafka_conf_set_dr_msg_cb(made) { _, message, opaque in
                if let message { Context.of(opaque)?.report(message) }
            }
        }
        var text = [CChar](repeating: 0, count: 512)
        let kind = role == .consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER
        guard let handle = rd_kafka_new(kind, made, &text, text.count) else {
            rd_kafka_conf_destroy(made)
            retained.release()
            throw KafkaLogError.invalidSetting(name: "of TLS or SASL", reason: Self.text(text))
        }
        guard let topic = rd_kafka_topic_new(handle, configuration.topic, nil) else {
            rd_kafka_destroy(handle)
            retained.release()
            throw KafkaLogError.invalidSetting(name: "topic", reason: "a topic cannot have this name")
        }
        self.handle = handle
        self.topic = topic
        self.context = context
    }

    deinit {
        rd_kafka_topic_destroy(topic)
        rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        Unmanaged.passUnretained(context).release()
    }

    static func text(_ bytes: [CChar]) -> String {
        String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    static func message(_ error: rd_kafka_resp_err_t) -> String { String(cString: rd_kafka_err2str(error)) }

    /// Serves callbacks for up to this time.
    func poll(_ time: Duration = .zero) { rd_kafka_poll(handle, Int32(clamping: time.wholeMilliseconds)) }

    /// What happened since the last call.
    func takeTrouble() -> Trouble {
        poll()
        return context.trouble.withLock { trouble in
            defer { trouble = Trouble() }
            return trouble
        }
    }

    /// Why the client works no more; `nil` while it does.
    var fatalError: String? {
        var text = [CChar](repeating: 0, count: 512)
        let error = rd_kafka_fatal_error(handle, &text, text.count)
        return error == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : Self.text(text)
    }

    // MARK: What the cluster says

    /// The number of partitions of the topic.
    ///
    /// - Throws: ``LogUnreachable`` if the brokers do not answer, or have no such topic.
    func partitions(within time: Duration) throws(LogUnreachable) -> Int {
        if let shape = try shape(within: time) { return shape.partitions }
        let name = String(cString: rd_kafka_topic_name(topic))
        throw LogUnreachable(
            "The topic \(name) does not exist. Create it, for example with: kafka-topics.sh --create --topic \(name) "
                + "--partitions 1.")
    }

    /// How many partitions the topic has, and how many replicas its first partition has; `nil` if there is no such topic.
    ///
    /// - Throws: ``LogUnreachable`` if the brokers do not answer.
    func shape(within time: Duration) throws(LogUnreachable) -> (partitions: Int, replicas: Int)? {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let error = rd_kafka_metadata(handle, 0, topic, &metadata, Int32(clamping: time.wholeMilliseconds))
        guard error == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else {
            poll()
            throw LogUnreachable(context.explanation.withLock { $0?.reason } ?? Self.message(error))
        }
        context.explanation.withLock { $0 = nil }
        defer { rd_kafka_metadata_destroy(metadata) }
        let name = String(cString: rd_kafka_topic_name(topic))
        guard metadata.pointee.topic_cnt == 1, let topic = metadata.pointee.topics?.pointee else {
            throw LogUnreachable("The brokers do not describe the topic \(name).")
        }
        switch topic.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            return (Int(topic.partition_cnt), Int(topic.partitions?.pointee.replica_cnt ?? 1))
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART: return nil
        default: throw LogUnreachable("The topic \(name): \(Self.message(topic.err)).")
        }
    }

    /// The id of the cluster.
    ///
    /// - Throws: ``LogUnreachable`` if the brokers do not say it in time.
    func clusterID(within time: Duration) throws(LogUnreachable) -> String {
        guard let id = rd_kafka_clusterid(handle, Int32(clamping: time.wholeMilliseconds)) else {
            throw LogUnreachable("The brokers do not say the id of their cluster. Kafka 0.10.1 or newer does.")
        }
        // The library has allocated it for this call.
        defer { rd_kafka_mem_free(handle, id) }
        return String(cString: id)
    }

    /// The offset of the oldest record, and the one behind the newest, as the last answer to a fetch said; `nil` before
    /// there was one. The question that the library has for them may block for ever (librdkafka 2.0), and some brokers
    /// answer it wrongly.
    func knownWatermarks(of partition: Int) -> Range<Int64>? {
        var (low, high) = (Int64(0), Int64(0))
        let error = rd_kafka_get_watermark_offsets(
            handle, rd_kafka_topic_name(topic), Int32(partition), &low, &high)
        return error == RD_KAFKA_RESP_ERR_NO_ERROR && low >= 0 && high >= low ? low..<high : nil
    }

    /// The offset of the first record that is not older than a time in milliseconds; `nil` if the brokers cannot tell.
    func offset(of partition: Int, since time: Int64, within limit: Duration) -> Int64? {
        guard let list = rd_kafka_topic_partition_list_new(1) else { return nil }
        defer { rd_kafka_topic_partition_list_destroy(list) }
        rd_kafka_topic_partition_list_add(list, rd_kafka_topic_name(topic), Int32(partition))?.pointee.offset = time
        let error = rd_kafka_offsets_for_times(handle, list, Int32(clamping: limit.wholeMilliseconds))
        guard error == RD_KAFKA_RESP_ERR_NO_ERROR, list.pointee.elems.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR,
            list.pointee.elems.pointee.offset >= 0
        else { return nil }
        return list.pointee.elems.pointee.offset
    }
}
#endif

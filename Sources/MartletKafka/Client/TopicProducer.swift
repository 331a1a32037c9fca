// SPDX-License-Identifier: Apache-2.0

#if Kafka
import CRdkafka
import Logging
import Martlet
import MartletSupport
import Synchronization

/// Publishes to the topic. Only the thread of the ``GroupPublisher`` calls it.
///
/// The library repeats what was not confirmed, and the brokers recognise what they have (idempotent producer). So a
/// record is sent once, and nothing is sent again by the log itself.
final class TopicProducer: @unchecked Sendable {
    /// What became of a record.
    enum Outcome {
        /// - Parameter offset: `nil` if the brokers have the record and did not say where.
        case accepted(offset: Int64?)
        case failed(rd_kafka_resp_err_t, mayHaveAccepted: Bool)
    }

    /// A record to publish.
    struct Draft {
        var partition: Int
        /// `nil` for a record without a key.
        var key: [UInt8]?
        /// `nil` for a record that removes its key from a compacted topic.
        var value: [UInt8]?
        var headers: [(name: String, value: [UInt8])]
    }

    /// The records on their way, by a number that no other record of this client has.
    private final class Reports: Sendable {
        let outcomes = Mutex<[UInt: Outcome]>([:])
    }

    private let configuration: KafkaLogConfiguration
    private let logger: Logger
    private let isClosed: @Sendable () -> Bool
    private let reports = Reports()
    private var client: KafkaClient?
    /// The number of times in a row that records failed for want of an answer.
    private var failures = 0
    private var lastNumber: UInt = 0

    /// How much longer than the patience the library may take to report.
    private static let extraTime = Duration.seconds(2)
    private static let pollTime = Duration.milliseconds(100)
    /// How long a record on its way may take when the log is closed.
    private static let closingTime = Duration.seconds(1)

    /// - Parameter isClosed: Whether the log is being closed, so that records that get no answer are given up.
    init(
        _ configuration: KafkaLogConfiguration, logger: Logger, isClosed: @escaping @Sendable () -> Bool = { false }
    ) {
        self.configuration = configuration
        self.logger = logger
        self.isClosed = isClosed
    }

    /// Publishes the records in this order, and returns once it is known what became of each.
    func send(_ drafts: [Draft]) throws -> [Outcome] {
        let client = try connected()
        let first = lastNumber + 1
        lastNumber += UInt(drafts.count)
        reports.outcomes.withLock { $0 = [:] }
        for (index, draft) in drafts.enumerated() {
            let number = first + UInt(index)
            if let error = produce(draft, number, with: client) {
                reports.outcomes.withLock { $0[number] = .failed(error, mayHaveAccepted: false) }
            }
        }
        wait(for: drafts.count, with: client)
        let outcomes = reports.outcomes.withLock { outcomes in
            (0..<drafts.count).map { index in
                outcomes[first + UInt(index)]
                    ?? .failed(RD_KAFKA_RESP_ERR__TIMED_OUT, mayHaveAccepted: true)
            }
        }
        replaceClient(after: outcomes)
        return Self.withoutContradictions(outcomes, drafts)
    }

    /// A producer that has failed may never work again, for example because the brokers have forgotten it. One that got no
    /// answer may: a new one needs up to a second before it can send.
    private func replaceClient(after outcomes: [Outcome]) {
        let errors = outcomes.compactMap { outcome in
            if case .failed(let error, _) = outcome { error } else { nil }
        }
        guard !errors.isEmpty else {
            failures = 0
            return
        }
        failures += 1
        let hasNoAnswer = errors.allSatisfy { error in
            error == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT
        }
        guard !hasNoAnswer || failures > 1 || client?.fatalError != nil else { return }
        client = nil
        failures = 0
    }

    /// Makes a client before it is needed: a new one needs up to a second before it can send.
    ///
    /// - Parameter isAway: Whether the topic cannot be read. Then there is none, because its questions might make the
    ///   topic.
    func prepare(isAway: Bool) {
        if isAway { client = nil } else if !configuration.isReadOnly { _ = try? connected() }
    }

    /// Why the brokers cannot be reached, if that is known.
    var trouble: String? { client?.takeTrouble().reason }

    private func wait(for count: Int, with client: KafkaClient) {
        var isClosing = false
        var deadline = ContinuousClock.now + configuration.patience + Self.extraTime
        while reports.outcomes.withLock({ $0.count }) < count, .now < deadline {
            client.poll(Self.pollTime)
            if isClosed(), !isClosing {
                isClosing = true
                deadline = min(deadline, .now + Self.closingTime)
            }
        }
        guard reports.outcomes.withLock({ $0.count }) < count else { return }
        rd_kafka_purge(client.handle, Int32(RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT))
        client.poll(Self.pollTime)
    }

    /// If an answer was lost and the batch was sent again, the offsets that are reported may be wrong: those that do not
    /// increase are unknown.
    private static func withoutContradictions(_ outcomes: [Outcome], _ drafts: [Draft]) -> [Outcome] {
        var last: [Int: Int64] = [:]
        let increases = zip(outcomes, drafts).allSatisfy { outcome, draft in
            guard case .accepted(let offset) = outcome else { return true }
            guard let offset, offset > last[draft.partition] ?? -1 else { return false }
            last[draft.partition] = offset
            return true
        }
        guard !increases else { return outcomes }
        return outcomes.map { outcome in
            if case .accepted = outcome { .accepted(offset: nil) } else { outcome }
        }
    }

    private func connected() throws -> KafkaClient {
        if let client { return client }
        let client = try KafkaClient(.producer, configuration, logger: logger) { [reports] message in
            let number = UInt(bitPattern: message.pointee._private)
            let outcome: Outcome
            if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
                outcome = .accepted(offset: message.pointee.offset >= 0 ? message.pointee.offset : nil)
            } else {
                outcome = .failed(
                    message.pointee.err,
                    mayHaveAccepted: rd_kafka_message_status(message) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED)
            }
            reports.outcomes.withLock { $0[number] = outcome }
        }
        // A producer that knows the leader sends its first record at once.
        _ = try? client.partitions(within: min(KafkaNode.shortWait, configuration.patience))
        self.client = client
        return client
    }

    /// Gives a record to the library. Returns why it does not take it.
    private func produce(_ draft: Draft, _ number: UInt, with client: KafkaClient) -> rd_kafka_resp_err_t? {
        guard let headers = rd_kafka_headers_new(draft.headers.count) else { return RD_KAFKA_RESP_ERR__FAIL }
        for (name, value) in draft.headers {
            value.withUnsafeBytes { bytes in
                _ = rd_kafka_header_add(headers, name, -1, bytes.baseAddress, bytes.count)
            }
        }
        var (key, value) = (draft.key ?? [], draft.value ?? [])
        // The library copies both before it returns; it takes the headers if it takes the record.
        return key.withUnsafeMutableBytes { key in
            value.withUnsafeMutableBytes { value in
                var words = [rd_kafka_vu_t](repeating: rd_kafka_vu_t(), count: 7)
                words[0].vtype = RD_KAFKA_VTYPE_RKT
                words[0].u.rkt = client.topic
                words[1].vtype = RD_KAFKA_VTYPE_PARTITION
                words[1].u.i32 = Int32(draft.partition)
                words[2].vtype = RD_KAFKA_VTYPE_KEY
                // An empty array has an address, too, which an empty key needs.
                words[2].u.mem.ptr = draft.key == nil ? nil : key.baseAddress ?? value.baseAddress
                words[2].u.mem.size = key.count
                words[3].vtype = RD_KAFKA_VTYPE_VALUE
                words[3].u.mem.ptr = draft.value == nil ? nil : value.baseAddress ?? key.baseAddress
                words[3].u.mem.size = value.count
                words[4].vtype = RD_KAFKA_VTYPE_MSGFLAGS
                words[4].u.i = Int32(RD_KAFKA_MSG_F_COPY)
                words[5].vtype = RD_KAFKA_VTYPE_HEADERS
                words[5].u.headers = headers
                words[6].vtype = RD_KAFKA_VTYPE_OPAQUE
                words[6].u.ptr = UnsafeMutableRawPointer(bitPattern: number)
                guard let error = rd_kafka_produceva(client.handle, words, words.count) else { return nil }
                defer { rd_kafka_error_destroy(error) }
                rd_kafka_headers_destroy(headers)
                return rd_kafka_error_code(error)
            }
        }
    }
}
#endif

// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import CProton
import DequeModule
import Martlet
import MartletSupport

/// One direction of messages on a connection. For use on the thread of its connection, which it keeps alive.
class AMQPLink {
    let pointer: OpaquePointer
    let connection: AMQPConnection
    /// Why the broker has ended the link, or never opened it.
    var refusal: AMQPRefusal?

    init(_ pointer: OpaquePointer, on connection: AMQPConnection) {
        self.pointer = pointer
        self.connection = connection
    }

    deinit { connection.end(pointer) }

    /// Whether the broker has opened it. One that it refuses is opened without an address first.
    var isOpen: Bool {
        pn_link_state(pointer) & CInt(PN_REMOTE_ACTIVE) != 0 && pn_terminus_get_type(remoteTerminus) != PN_UNSPECIFIED
    }

    fileprivate var remoteTerminus: OpaquePointer? { nil }

    /// Something has happened to a delivery.
    func changed(_ delivery: OpaquePointer) {}

    /// - Throws: ``AMQPRefusal`` if the link was ended.
    func check() throws(AMQPRefusal) {
        if let refusal { throw refusal }
    }
}

/// Sends messages, any number at a time, and waits for what the broker says of each.
final class AMQPSender: AMQPLink {
    enum Outcome: Equatable {
        case accepted
        case rejected(AMQPRefusal)
        /// The broker has no use for the message, or cannot take it now.
        case notTaken
    }

    /// What the broker said of the deliveries that wait, by their number.
    private var outcomes: [Int: Outcome] = [:]
    private var numbers: [OpaquePointer: Int] = [:]
    private var tag: UInt64 = 0

    override fileprivate var remoteTerminus: OpaquePointer? { pn_link_remote_target(pointer) }

    /// The most bytes of a message; `nil` for no bound.
    var mostBytes: UInt64? {
        let bytes = pn_link_remote_max_message_size(pointer)
        return bytes == 0 ? nil : bytes
    }

    /// Sends messages in this order, and returns once the broker has answered for each.
    ///
    /// - Parameter answered: Called with the number of a message and its outcome as soon as there is one, also if this
    ///   throws later.
    /// - Throws: ``LogUnreachable`` if an answer is missing when the time is over, or the connection is gone;
    ///   ``AMQPRefusal`` if the link was ended.
    func send(
        _ messages: [[UInt8]], within time: Duration, answered: (Int, Outcome) -> Void
    ) throws {
        outcomes = [:]
        numbers = [:]
        var next = 0
        var missing = messages.count
        let isAnswered = try connection.wait(atMost: time) {
            if !outcomes.isEmpty {
                for (number, outcome) in outcomes { answered(number, outcome) }
                missing -= outcomes.count
                outcomes = [:]
            }
            try check()
            while next < messages.count, pn_link_credit(pointer) > 0 {
                send(messages[next], as: next)
                next += 1
            }
            return missing == 0
        }
        guard isAnswered else { throw LogUnreachable("The broker did not answer in time.", mayHaveAccepted: next > 0) }
    }

    private func send(_ message: [UInt8], as number: Int) {
        tag += 1
        let delivery = withUnsafeBytes(of: tag) { bytes in
            pn_delivery(pointer, pn_dtag(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count))
        }
        if let delivery { numbers[delivery] = number }
        message.withUnsafeBytes { bytes in
            _ = pn_link_send(pointer, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        pn_link_advance(pointer)
    }

    override func changed(_ delivery: OpaquePointer) {
        let state = pn_delivery_remote_state(delivery)
        let isFinal = state != 0 && state != UInt64(PN_RECEIVED)
        guard pn_delivery_updated(delivery), isFinal || pn_delivery_settled(delivery) else { return }
        if let number = numbers.removeValue(forKey: delivery) {
            switch state {
            case UInt64(PN_ACCEPTED): outcomes[number] = .accepted
            case UInt64(PN_REJECTED):
                let condition = pn_disposition_condition(pn_delivery_remote(delivery))
                outcomes[number] = .rejected(AMQPRefusal(condition) ?? AMQPRefusal(name: "", text: "rejected"))
            default: outcomes[number] = .notTaken
            }
        }
        pn_delivery_settle(delivery)
    }
}

/// Receives messages, as many as it has given credit for.
final class AMQPReceiver: AMQPLink {
    /// A message that the broker keeps until it is settled.
    struct Delivery {
        fileprivate let pointer: OpaquePointer
        /// `nil` if it cannot be read.
        let message: AMQPMessage?
    }

    /// Deliveries that have arrived.
    private(set) var arrived: Deque<Delivery> = []
    /// What has arrived of a delivery that is not complete.
    private var partial: [UInt8] = []
    private var isTooLarge = false

    override fileprivate var remoteTerminus: OpaquePointer? { pn_link_remote_source(pointer) }

    /// How many more messages may come.
    var credit: Int { Int(pn_link_credit(pointer)) }

    func give(credit: Int) { pn_link_flow(pointer, CInt(clamping: credit)) }

    /// Removes the deliveries that have arrived, once there are some.
    ///
    /// - Throws: ``LogUnreachable``, ``AMQPRefusal``.
    func take(within time: Duration) throws -> [Delivery] {
        _ = try connection.wait(atMost: time) {
            guard arrived.isEmpty else { return true }
            try check()
            return false
        }
        defer { arrived = [] }
        return Array(arrived)
    }

    /// The broker may forget the message.
    func accept(_ delivery: Delivery) { settle(delivery, PN_ACCEPTED) }

    /// The broker shall deliver the message again, as if it had not done so.
    func release(_ delivery: Delivery) { settle(delivery, PN_RELEASED) }

    /// Takes its credit back, and releases what has arrived and was not taken.
    func stop(within time: Duration) {
        pn_link_drain(pointer, 0)
        _ = try? connection.wait(atMost: time) { pn_link_credit(pointer) <= 0 }
        for delivery in arrived { release(delivery) }
        arrived = []
    }

    private func settle(_ delivery: Delivery, _ state: CInt) {
        pn_delivery_update(delivery.pointer, UInt64(state))
        pn_delivery_settle(delivery.pointer)
    }

    override func changed(_ delivery: OpaquePointer) {
        guard pn_delivery_readable(delivery), pn_link_current(pointer) == delivery else { return }
        read(pn_delivery_pending(delivery))
        if pn_delivery_aborted(delivery) {
            pn_link_advance(pointer)
            pn_delivery_settle(delivery)
            (partial, isTooLarge) = ([], false)
        } else if !pn_delivery_partial(delivery) {
            let message = isTooLarge ? nil : AMQPMessage(decoding: partial)
            arrived.append(Delivery(pointer: delivery, message: message))
            pn_link_advance(pointer)
            (partial, isTooLarge) = ([], false)
        }
    }

    private func read(_ size: Int) {
        guard size > 0 else { return }
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            buffer.withMemoryRebound(to: CChar.self) { count = max(0, pn_link_recv(pointer, $0.baseAddress, size)) }
        }
        isTooLarge = isTooLarge || partial.count + bytes.count > AMQPMessage.mostBytes
        if isTooLarge { partial = [] } else { partial += bytes }
    }
}

/// Asks a node of the broker, such as `$cbs`, and waits for its answers.
final class AMQPRequests {
    private let sender: AMQPSender
    private let receiver: AMQPReceiver
    private let address: String
    private let replyTo: String
    private var count = 0

    private static let credit = 10

    init(to address: String, on connection: AMQPConnection, within time: Duration) throws {
        self.address = address
        replyTo = "martlet-answers-\(address)"
        receiver = try connection.receiver(from: address, target: replyTo, within: time)
        sender = try connection.sender(to: address, within: time)
        receiver.give(credit: Self.credit)
    }

    /// - Throws: ``LogUnreachable`` if no answer comes, ``AMQPRefusal`` if the broker refuses.
    func ask(_ request: AMQPMessage, within time: Duration) throws -> AMQPMessage {
        let deadline = ContinuousClock.now + time
        count += 1
        var request = request
        let id = "martlet-\(count)"
        request.id = id
        request.replyTo = replyTo
        guard let bytes = request.encoded() else { throw LogUnreachable("A request is too large.") }
        var refusal: AMQPRefusal?
        try sender.send([bytes], within: time) { _, outcome in
            if case .rejected(let reason) = outcome { refusal = reason }
        }
        if let refusal { throw refusal.at(address) }
        while deadline > .now {
            for delivery in try receiver.take(within: deadline - .now) {
                receiver.accept(delivery)
                receiver.give(credit: 1)
                // A late answer to an earlier request may come first.
                if let answer = delivery.message, answer.correlationID?.isExactly(id) == true { return answer }
            }
        }
        throw LogUnreachable("The broker did not answer a request to \(address) in time.")
    }
}
#endif

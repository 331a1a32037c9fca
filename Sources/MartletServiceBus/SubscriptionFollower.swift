// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import DequeModule
import Dispatch
import Logging
import Martlet
import MartletSupport
import Synchronization

/// Receives the messages of the subscription of this node, and settles each once the node has stored it. For use on one
/// thread.
///
/// The broker keeps what a connection has received and not settled locked for a while, also when the connection is dead,
/// and delivers what is behind it. A node that stored that first would have another order than all others. So if a
/// sequence number does not follow the one before, the node looks which messages there are in between, and if there is
/// one, it takes nothing until that comes.
final class SubscriptionFollower {
    private let log: ServiceBusLog
    private let node: ServiceBusNode
    private let format: MessageFormat
    private var delay: RetryDelay
    /// The sequence number that comes next if none is left out; `nil` if the broker does not count.
    private var next: Int64?
    /// The sequence numbers of the next messages, as the broker has shown them.
    private var peeked: Deque<Int64> = []
    /// The number of the last message that waited when the node connected.
    private var lastWaiting: Int64 = 0
    /// When to look again whether it still waits: the time of a message may end.
    private var nextLook = ContinuousClock.now
    private var hasBegun = false
    private var quietBatches = 0
    /// The names of messages that repeat one with the same key.
    private var repeats: [(name: MessageName, key: KeyHash)] = []
    private var skipped = 0
    private var lastLogged: ContinuousClock.Instant?
    /// What has arrived and waits for messages in front of it, and since when.
    private var held: [AMQPReceiver.Delivery] = []
    private var heldSince: ContinuousClock.Instant?
    /// The store has failed, and has stored nothing since.
    private var cannotStore = false

    /// How long a node waits for a lock to end, or for its store, before it tries again.
    private static let pause = Duration.seconds(1)
    /// How long a node keeps what waits for messages in front of it: less than a lock lasts.
    private static let mostHeld = Duration.seconds(20)
    /// How long the end of a connection may take.
    private static let leaveTime = Duration.milliseconds(200)
    /// How long nothing may come before a node counts as having everything.
    private static let quietTime = Duration.milliseconds(20)
    /// So many batches that are no longer than a part of the credit show the same.
    private static let mostQuietBatches = 10
    private static let quietPart = 4
    /// How many messages are looked at with one request.
    private static let peekedMessages = 64
    /// The least time between two log messages about skipped messages.
    private static let skipInterval = Duration.seconds(10)

    /// The node takes no messages for a moment, and has no connection meanwhile.
    private struct Pause: Error {}

    init(_ log: ServiceBusLog) {
        self.log = log
        node = log.node
        format = node.format
        delay = RetryDelay(node.configuration.retryDelay)
    }

    private var configuration: ServiceBusLogConfiguration { node.configuration }
    private var isClosed: Bool { node.isClosed.load(ordering: .acquiring) }

    func run() {
        while !isClosed {
            do {
                try follow()
            } catch is Pause {
                node.behindSince.withLock { $0 = $0 ?? .now }
                log.lifecycle.pause(atMost: Self.pause)
            } catch let refusal as AMQPRefusal {
                let error = ServiceBusLogError(refusal, configuration)
                if let error {
                    guard hasBegun else { return log.lifecycle.failed(error) }
                    // Until somebody has mended it.
                    node.fault.withLock { $0 = MartletError(.storageFailed, "\(error)") }
                }
                waitToRetry(after: error ?? refusal)
            } catch let error as ThreadError {
                return log.lifecycle.failed(ServiceBusLogError.noThread(error.description))
            } catch {
                guard !isClosed else { return }
                waitToRetry(after: error)
            }
        }
    }

    private func waitToRetry(after error: any Error) {
        node.behindSince.withLock { $0 = $0 ?? .now }
        node.reachability.failed(error)
        log.lifecycle.pause(atMost: delay.next())
    }

    /// Connects, and receives while the connection lasts.
    private func follow() throws {
        try waitForRoom()
        let (connection, tokens) = try node.connect(as: "subscriber", within: configuration.requestTimeout)
        let receiver = try connection.receiver(from: configuration.sourceAddress, within: configuration.requestTimeout)
        let browser = try configuration.isServiceBus ? browser(on: connection) : nil
        delay.succeeded()
        quietBatches = 0
        // What the broker has delivered counts as tried, even if it comes back, so a store that fails gets one at a time.
        let credit = cannotStore ? 1 : configuration.credit
        receiver.give(credit: credit)
        defer { leave(receiver) }
        node.reachability.answered()
        while !isClosed {
            try tokens?.renew(within: configuration.requestTimeout)
            try waitForRoom(connection)
            let time = isBehind ? min(Self.quietTime, configuration.checkInterval) : configuration.checkInterval
            let deliveries = try receiver.take(within: time)
            try take(deliveries, from: receiver, browser)
            if !deliveries.isEmpty, credit < configuration.credit { throw Pause() }
            if !cannotStore { node.fault.withLock { $0 = nil } }
            if !deliveries.isEmpty { node.reachability.answered() }
            let rest = receiver.credit
            if rest + held.count <= credit / 2 { receiver.give(credit: credit - rest - held.count) }
            try noteProgress(deliveries.count, browser)
            logSkipped()
        }
    }

    /// Waits until the hub has read what the store has taken.
    ///
    /// - Throws: ``Pause`` if that takes long: what has arrived must not stay locked.
    private func waitForRoom(_ connection: AMQPConnection? = nil) throws {
        let deadline = ContinuousClock.now + Self.pause
        while !node.store.hasRoom {
            // Nobody reads before the log is open.
            if !hasBegun { node.store.makeRoom() }
            guard !node.store.hasRoom else { return }
            guard let connection, .now < deadline else { throw Pause() }
            _ = try connection.wait(atMost: Self.quietTime) { false }
        }
    }

    /// Gives back what has arrived, so that it does not stay locked, and tells the broker everything that was settled.
    private func leave(_ receiver: AMQPReceiver) {
        for delivery in held { receiver.release(delivery) }
        held = []
        receiver.stop(within: Self.leaveTime)
        receiver.connection.finish(within: Self.leaveTime)
    }

    // MARK: The order of messages

    /// Requests that show the messages of the subscription.
    private func browser(on connection: AMQPConnection) throws -> AMQPRequests {
        let address = "\(configuration.sourceAddress)/$management"
        let browser = try AMQPRequests(to: address, on: connection, within: configuration.requestTimeout)
        next = (node.deliveries.withLock { $0.lastSequence } ?? 0) &+ 1
        try lookForWaiting(browser)
        return browser
    }

    /// Looks which messages wait: as many as a connection that is gone may have locked.
    private func lookForWaiting(_ browser: AMQPRequests) throws {
        guard let next else { return }
        (peeked, lastWaiting, nextLook) = ([], 0, .now + Self.pause)
        var last = next &- 1
        while peeked.count < configuration.credit {
            let found = try peek(from: last &+ 1, browser)
            guard let end = found.last, end > last else { break }
            peeked += found.active
            last = end
            // While others publish, there would always be another one.
            if found.active.count < Self.peekedMessages { break }
        }
        lastWaiting = peeked.last ?? 0
    }

    /// The sequence numbers of the messages from one on that are not deferred or scheduled, and that of the last message.
    private func peek(
        from first: Int64, _ browser: AMQPRequests
    ) throws -> (active: [Int64], last: Int64?) {
        let time = configuration.requestTimeout
        var request = AMQPMessage(
            .value(
                .map([
                    (.string("from-sequence-number"), .integer(first)),
                    (.string("message-count"), .int32(Int32(Self.peekedMessages))),
                ])))
        request.properties = [
            ("operation", .string("com.microsoft:peek-message")),
            ("com.microsoft:server-timeout", .uint32(UInt32(clamping: time.wholeMilliseconds))),
        ]
        let answer = try browser.ask(request, within: time)
        let status = answer.number("statusCode") ?? answer.number("status-code") ?? 0
        guard (200..<300).contains(status) else {
            throw AMQPRefusal(
                name: answer.text("errorCondition") ?? "", text: answer.text("statusDescription") ?? "\(status)")
        }
        guard case .value(let body) = answer.body, case .list(let messages)? = body.fields["messages"] else {
            return ([], nil)
        }
        var active: [Int64] = []
        var last: Int64?
        for case .binary(let bytes)? in messages.map({ $0.fields["message"] }) {
            guard let message = AMQPMessage(decoding: bytes), let sequence = message.sequence else { continue }
            last = sequence
            if (message.annotations["x-opt-message-state"]?.number ?? 0) == 0 { active.append(sequence) }
        }
        return (active, last)
    }

    /// Whether a message comes next: there is none in front of it that has not come.
    private func isNext(_ message: AMQPMessage, _ browser: AMQPRequests) throws -> Bool {
        guard let sequence = message.sequence, let next, sequence >= next else { return true }
        // The messages of the partitions of a topic are counted separately.
        if sequence > next, Self.partition(sequence) == Self.partition(next) {
            while let first = peeked.first, first < next { peeked.removeFirst() }
            if peeked.isEmpty || .now >= nextLook {
                (peeked, nextLook) = (Deque(try peek(from: next, browser).active), .now + Self.pause)
            }
            if let first = peeked.first, first < sequence { return false }
        }
        self.next = sequence &+ 1
        return true
    }

    private static func partition(_ sequence: Int64) -> Int64 { sequence >> 48 }

    // MARK: Taking messages

    private struct Arrival {
        var events: [Event]
        var stored: StoredMessage
    }

    /// Stores what has arrived, and settles it. What another connection has to give back first is kept until then.
    private func take(
        _ deliveries: [AMQPReceiver.Delivery], from receiver: AMQPReceiver, _ browser: AMQPRequests?
    ) throws {
        var waiting = held + deliveries
        guard !waiting.isEmpty else { return }
        if browser != nil {
            waiting.sort { ($0.message?.sequence ?? -1) < ($1.message?.sequence ?? -1) }
        }
        held = []
        var taken = 0
        defer { for delivery in waiting[taken...] { receiver.release(delivery) } }
        var arrivals: [Arrival] = []
        var inOrder = 0
        for delivery in waiting {
            if let browser, let message = delivery.message, try !isNext(message, browser) { break }
            if let arrival = arrival(of: delivery.message, behind: arrivals) { arrivals.append(arrival) }
            inOrder += 1
        }
        try store(arrivals)
        noteRepeats()
        for delivery in waiting[..<inOrder] { receiver.accept(delivery) }
        taken = inOrder
        try hold(waiting[inOrder...])
        taken = waiting.count
    }

    /// - Throws: ``Pause`` if the node has waited for so long that its own locks end.
    private func hold(_ deliveries: ArraySlice<AMQPReceiver.Delivery>) throws {
        guard !deliveries.isEmpty else {
            heldSince = nil
            return
        }
        if heldSince == nil {
            node.logger.notice("Waiting for messages that another connection has received and not settled.")
        }
        let since = heldSince ?? .now
        heldSince = since
        node.behindSince.withLock { $0 = $0 ?? .now }
        guard .now - since < Self.mostHeld else {
            heldSince = nil
            throw Pause()
        }
        held = Array(deliveries)
    }

    /// What is to be stored; `nil` if the message is stored already, or skipped.
    private func arrival(of message: AMQPMessage?, behind others: [Arrival]) -> Arrival? {
        if let notice = message.flatMap(format.notice) {
            log.notices.deliver(notice)
            return nil
        }
        // An id that is a position would not lead to the event.
        guard let message, let content = format.read(message),
            !content.events.contains(where: { $0.id.map(node.isPosition) ?? false })
        else {
            skip()
            return nil
        }
        var stored = StoredMessage(name: content.name, sequence: message.sequence, mark: nil, key: content.key)
        // It was delivered again while it waited.
        if let sequence = stored.sequence, others.last?.stored.sequence == sequence { return nil }
        switch content.name {
        case .numbered(let name)?:
            let isKnown = node.order.withLock { order in
                order.contains(.numbered(name)) || message.mayBeRepeated && order.isTrimmed(name)
            }
            if isKnown || others.contains(where: { $0.stored.name == content.name }) { return nil }
        case .foreign?, nil:
            stored.mark = message.annotations["x-opt-enqueued-time"]?.number
            if node.deliveries.withLock({ $0.contains(stored) }) { return nil }
            if stored.sequence == nil, message.mayBeRepeated, let name = content.name,
                node.order.withLock({ $0.contains(name) })
            {
                return nil
            }
        }
        if let key = content.key,
            node.offsets(ofKey: key) != nil || others.contains(where: { $0.stored.key?.isExactly(key) == true })
        {
            if let name = content.name { repeats.append((name, KeyHash(key))) }
            return nil
        }
        return Arrival(events: content.events, stored: stored)
    }

    /// Stores messages, and returns once all are safe.
    private func store(_ arrivals: [Arrival]) throws {
        guard !arrivals.isEmpty else { return }
        var first = node.store.offsets.upperBound
        var publishes: [(events: [Event], key: String)] = []
        for arrival in arrivals {
            publishes.append((arrival.events, arrival.stored.text(at: first)))
            first += UInt64(arrival.events.count)
        }
        let done = DispatchSemaphore(value: 0)
        let failure = Mutex<(any Error)?>(nil)
        let node = node
        node.store.append(inOrder: publishes) { number, first in
            switch first {
            case .success(let first):
                node.remember(arrivals[number].stored, at: first, count: arrivals[number].events.count)
            case .failure(let error):
                failure.withLock { $0 = $0 ?? error }
            }
            if number == arrivals.count - 1 { done.signal() }
        }
        done.wait()
        let oldest = node.store.offsets.lowerBound
        node.order.withLock { $0.trim(to: oldest) }
        node.stored.fire()
        if let error = failure.withLock({ $0 }) {
            cannotStore = true
            node.fault.withLock {
                $0 = MartletError(.storageFailed, "The store of this node cannot be written: \(error)")
            }
            throw Pause()
        }
        cannotStore = false
    }

    /// Other names of messages that are stored now.
    private func noteRepeats() {
        guard !repeats.isEmpty else { return }
        node.order.withLock { order in
            for (name, key) in repeats { order.append(repeat: name, of: key) }
        }
        repeats = []
        node.stored.fire()
    }

    private func skip() {
        node.skipped.add(1, ordering: .relaxed)
        skipped += 1
        logSkipped()
    }

    /// Says how many messages were skipped since it said so last.
    private func logSkipped() {
        guard skipped > 0, lastLogged.map({ .now - $0 >= Self.skipInterval }) ?? true else { return }
        node.logger.warning("Messages were skipped because they are no events.", metadata: ["count": "\(skipped)"])
        lastLogged = .now
        skipped = 0
    }

    // MARK: Being behind

    private var isBehind: Bool { node.behindSince.withLock { $0 != nil } }

    /// Notices when the node has everything that the broker has.
    private func noteProgress(_ count: Int, _ browser: AMQPRequests?) throws {
        guard isBehind else { return }
        if let browser, count == 0, let next, next <= lastWaiting, .now >= nextLook { try lookForWaiting(browser) }
        quietBatches = count * Self.quietPart <= configuration.credit ? quietBatches + 1 : 0
        guard held.isEmpty, (next ?? .max) > lastWaiting, count == 0 || quietBatches >= Self.mostQuietBatches else {
            return
        }
        node.behindSince.withLock { $0 = nil }
        hasBegun = true
        try log.opened()
    }
}

extension AMQPMessage {
    /// The number of the message in its subscription; `nil` if the broker does not count.
    fileprivate var sequence: Int64? {
        annotations["x-opt-sequence-number"]?.number.flatMap { (0..<Int64.max).contains($0) ? $0 : nil }
    }
}

extension ServiceBusLogError {
    /// `nil` if trying again may help.
    fileprivate init?(_ refusal: AMQPRefusal, _ configuration: ServiceBusLogConfiguration) {
        if refusal.name.endsExactly(with: "not-found") {
            self = .notFound(address: refusal.address ?? configuration.sourceAddress, reason: refusal.text)
        } else if refusal.name.isExactly("amqp:unauthorized-access") {
            self = .unauthorized(reason: refusal.text)
        } else {
            return nil
        }
    }
}
#endif

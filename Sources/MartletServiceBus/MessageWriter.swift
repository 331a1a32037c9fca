// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Logging
import Martlet
import MartletSupport
import Synchronization

/// Publishes groups, one message for each publish. Only the thread of the ``GroupPublisher`` calls it.
final class MessageWriter: @unchecked Sendable {
    private struct Link {
        var sender: AMQPSender
        var tokens: TokenRenewal?
    }

    /// A message of a publish.
    private struct Draft {
        var name: NumberedName
        var bytes: [UInt8]
        var wasSent = false
        var outcome: AMQPSender.Outcome?
    }

    private let node: ServiceBusNode
    private let format: MessageFormat
    private var link: Link?
    /// The number of the last message of this node.
    private var lastNumber: UInt64 = 0
    /// The group that is on its way, and its messages.
    private var group: GroupPublisher.Group.ID?
    private var drafts: [Draft] = []
    /// The refusal that was logged last, unless something was accepted since.
    private var lastRefusal: AMQPRefusal?

    /// What Service Bus says when it has too much to do, or cannot work for a moment.
    private static let passingErrors = [
        "com.microsoft:server-busy", "com.microsoft:timeout", "amqp:internal-error",
    ]

    init(_ node: ServiceBusNode) {
        self.node = node
        format = node.format
    }

    /// Keeps the connection alive between two groups, and makes it before it is needed.
    func prepare() {
        guard !node.configuration.isReadOnly else { return }
        do {
            let link = try connect(within: time)
            _ = try link.sender.connection.wait(atMost: .milliseconds(1)) { false }
            try link.sender.check()
            try link.tokens?.renew(within: time)
            if !node.reachability.isReachable { node.reachability.answered() }
        } catch {
            // The next group says so, if it fails as well.
            link = nil
        }
    }

    /// How long one exchange with the broker may take: publishers wait for it.
    private var time: Duration { min(node.configuration.requestTimeout, node.configuration.patience) }

    private func connect(within time: Duration) throws -> Link {
        if let link { return link }
        let deadline = ContinuousClock.now + time
        let (connection, tokens) = try node.connect(as: "publisher", within: time)
        let sender = try connection.sender(to: node.configuration.targetAddress, within: deadline - .now)
        let link = Link(sender: sender, tokens: tokens)
        self.link = link
        return link
    }

    func send(_ group: GroupPublisher.Group) throws -> [Result<[Position], MartletError>] {
        if self.group != group.id {
            self.group = group.id
            drafts = group.publishes.map { draft($0.events, $0.key) }
        }
        var delay = RetryDelay(node.configuration.retryDelay)
        let deadline = ContinuousClock.now + node.configuration.patience
        while true {
            try sendDrafts()
            // The broker refused some for the moment. Send them again as new messages: numbers must arrive in order.
            let refused = drafts.indices.filter { isRefusedForNow(drafts[$0]) }
            let pause = delay.next()
            guard !refused.isEmpty, .now + pause < deadline, !node.isClosed.load(ordering: .acquiring) else { break }
            do {
                _ = try link?.sender.connection.wait(atMost: pause) { false }
            } catch {
                // The next attempt makes a new connection.
                link = nil
            }
            for index in refused {
                drafts[index] = draft(group.publishes[index].events, group.publishes[index].key)
            }
        }
        return zip(group.publishes, drafts).map { publish, draft in answer(to: publish.events.count, draft) }
    }

    private func draft(_ events: [Event], _ key: String?) -> Draft {
        lastNumber += 1
        let name = NumberedName(publisher: node.publisher, number: lastNumber)
        return Draft(name: name, bytes: format.write(events, once: key, as: name).encoded() ?? [])
    }

    /// Sends the messages that have no outcome.
    private func sendDrafts() throws {
        do {
            let deadline = ContinuousClock.now + time
            let link = try connect(within: time)
            try link.tokens?.renew(within: deadline - .now)
            let most = link.sender.mostBytes ?? .max
            for index in drafts.indices where drafts[index].bytes.isEmpty || UInt64(drafts[index].bytes.count) > most {
                drafts[index].outcome = .rejected(.tooLarge)
            }
            let numbers = drafts.indices.filter { drafts[$0].outcome == nil }
            guard !numbers.isEmpty else { return }
            for number in numbers { drafts[number].wasSent = true }
            try link.sender.send(numbers.map { drafts[$0].bytes }, within: max(deadline - .now, .milliseconds(1))) {
                drafts[numbers[$0]].outcome = $1
            }
        } catch let refusal as AMQPRefusal {
            link = nil
            let mayHaveAccepted = drafts.contains { $0.outcome == nil && $0.wasSent }
            guard refusal.isLasting, !mayHaveAccepted else {
                throw LogUnreachable(refusal.description, mayHaveAccepted: mayHaveAccepted)
            }
            // The right to send is missing, or the topic is.
            for index in drafts.indices where drafts[index].outcome == nil {
                drafts[index].outcome = .rejected(refusal)
            }
        } catch {
            link = nil
            throw error
        }
    }

    private func isRefusedForNow(_ draft: Draft) -> Bool {
        guard case .rejected(let refusal)? = draft.outcome else { return false }
        return Self.passingErrors.contains { $0.isExactly(refusal.name) }
    }

    private func answer(to count: Int, _ draft: Draft) -> Result<[Position], MartletError> {
        switch draft.outcome {
        case .accepted:
            lastRefusal = nil
            return .success(
                (1...max(count, 1)).prefix(count).map { part in
                    BusPlace(head: .message(.numbered(draft.name)), part: part < count ? part : nil).position
                })
        case .rejected(let refusal) where refusal.isTooLarge:
            return .failure(
                MartletError(
                    .tooLarge, field: "data", "The publish is larger than the broker accepts. Send less at once."))
        case .rejected where isRefusedForNow(draft):
            return .failure(
                MartletError(
                    .overloaded, "The server of the log is overloaded. Nothing was published; try again later."))
        case .rejected(let refusal):
            if lastRefusal != refusal {
                node.logger.error("The broker refuses events.", metadata: ["error": "\(refusal)"])
            }
            lastRefusal = refusal
            return .failure(
                MartletError(
                    .storageFailed, "The server of the log refuses events. Nothing was published; try again later."))
        case .notTaken, nil:
            return .failure(
                MartletError(
                    .storageFailed,
                    "The server of the log has no use for events. Check that the topic has subscriptions."))
        }
    }
}

extension AMQPRefusal {
    fileprivate static let tooLarge = AMQPRefusal(name: "amqp:link:message-size-exceeded", text: "too large")
    fileprivate var isTooLarge: Bool { name.isExactly(Self.tooLarge.name) }
}
#endif

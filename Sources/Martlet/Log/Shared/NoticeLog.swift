// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A shared log that also carries notices: what nodes tell each other, which is not an event.
///
/// A notice takes no place in history, and no subscriber sees it. ``LogBoard`` is made of notices. The contract:
///
/// - **Everyone.** A notice that was sent reaches every node that follows the log, also the one that sent it, once the
///   node has read as far. It may reach a node twice, and a node that starts may see notices from before its time.
/// - **Order.** All nodes see the notices of one node in the order in which their ``send(notice:)`` were called, one after
///   the other has returned.
public protocol NoticeLog: SharedLog {
    /// Returns once the server has the notice.
    ///
    /// - Throws: What ``Log/append(_:once:)`` throws.
    func send(notice: String) async throws

    /// What nodes have sent.
    var notices: Notices { get }
}

/// Who is handed the notices of a ``NoticeLog``. All methods may be called from anywhere.
public final class Notices: Sendable {
    public typealias Receiver = @Sendable (String) -> Void

    private let receivers = Mutex<[Receiver]>([])

    public init() {}

    /// Hands a closure every notice that this node reads from now on. It is called on the thread that follows the log, must
    /// not block, and is kept for as long as the log.
    public func add(_ receiver: @escaping Receiver) { receivers.withLock { $0.append(receiver) } }

    /// The node has read a notice.
    public func deliver(_ notice: String) {
        for receiver in receivers.withLock({ $0 }) { receiver(notice) }
    }

    /// A notice as an event, for logs that store it as one. Nobody can publish or subscribe to its topic.
    package static func event(_ notice: String) -> Event { Event(topic: topic, data: notice) }

    /// The notice that ``event(_:)`` has made an event of.
    package static func notice(in events: [Event]) -> String? {
        guard events.count == 1, let event = events.first, event.topic == topic else { return nil }
        return event.data
    }

    private static let topic: Topic = "/.well-known/mercure/notices"
}

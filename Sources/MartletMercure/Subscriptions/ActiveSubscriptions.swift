// SPDX-License-Identifier: Apache-2.0

import Martlet
import Synchronization

/// Who is subscribed to what on this node: announced to those who have a right to know, and kept for those who ask.
///
/// It holds one entry for each open stream, so as many as there may be connections, and each has as many selectors as a
/// subscription may name.
final class ActiveSubscriptions: Sendable {
    private struct State {
        var connections: [String: ActiveConnection.Entry] = [:]
        /// How many there ever were.
        var arrivals = 0
    }

    private let hub: Hub
    private let state = Mutex(State())

    init(of hub: Hub) { self.hub = hub }

    /// Keeps a connection and announces its subscriptions: who hears of them finds them here.
    func insert(_ entry: ActiveConnection.Entry) {
        state.withLock { state in
            state.arrivals += 1
            state.connections[entry.subscriber] = entry
            state.connections[entry.subscriber]?.arrival = state.arrivals
        }
        for document in entry.documents() { announce(document) }
    }

    /// Forgets a connection and announces that its subscriptions have ended.
    func remove(_ entry: ActiveConnection.Entry) {
        state.withLock { $0.connections[entry.subscriber] = nil }
        for document in entry.documents(isActive: false) { announce(document) }
    }

    /// The subscriptions that a path names, in the order in which they began.
    func documents(at path: SubscriptionPath) -> [SubscriptionDocument] {
        switch path {
        case .all:
            return inOrder().flatMap { $0.documents() }
        case .of(let selector):
            return inOrder().flatMap { $0.documents().filter { $0.selector.utf8.elementsEqual(selector.utf8) } }
        case .one(let selector, let subscriber):
            let entry = state.withLock { $0.connections[subscriber] }
            return entry?.documents().filter { $0.selector.utf8.elementsEqual(selector.utf8) } ?? []
        }
    }

    private func inOrder() -> [ActiveConnection.Entry] {
        let connections = state.withLock { $0.connections }
        return connections.values.sorted { $0.arrival < $1.arrival }
    }

    /// Not in history: it says what is so now.
    private func announce(_ document: SubscriptionDocument) {
        // The path is percent-encoded, so it has no character that no topic may have.
        guard let topic = try? Topic(document.path.text) else { return }
        hub.announce(Event(topic: topic, data: document.json, isPrivate: true))
    }
}

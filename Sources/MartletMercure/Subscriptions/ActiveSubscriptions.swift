// SPDX-License-Identifier: Apache-2.0

import Martlet
import Synchronization

/// Who is subscribed to what, on this node and, where a ``SubscriptionExchange`` tells it, on others: announced to those
/// who have a right to know, and kept for those who ask.
///
/// It holds one entry for each open stream, so as many as there may be connections, and each has as many selectors as a
/// subscription may name.
final class ActiveSubscriptions: Sendable {
    /// By subscriber.
    typealias Connections = [String: ActiveConnection.Entry]

    private struct State {
        var own: Connections = [:]
        /// How many there ever were.
        var arrivals = 0
        /// How many of them have ended.
        var departures = 0
        /// None of the nodes is this one.
        var others: [NodeName: Connections] = [:]
    }

    /// What the other nodes call this one.
    let node = NodeName()
    private let hub: Hub
    private let state = Mutex(State())

    init(of hub: Hub) { self.hub = hub }

    /// Keeps a connection and announces its subscriptions: who hears of them finds them here.
    func insert(_ entry: ActiveConnection.Entry) {
        state.withLock { state in
            state.arrivals += 1
            state.own[entry.subscriber] = entry
            state.own[entry.subscriber]?.arrival = state.arrivals
        }
        announce(entry, isActive: true)
    }

    /// Forgets a connection and announces that its subscriptions have ended.
    func remove(_ entry: ActiveConnection.Entry) {
        state.withLock { state in
            state.departures += 1
            state.own[entry.subscriber] = nil
        }
        announce(entry, isActive: false)
    }

    /// Another number whenever a connection of this node has begun or ended.
    var revision: Int { state.withLock { $0.arrivals + $0.departures } }

    /// The connections of this node in the order in which they began, and the ``revision`` that they are.
    func own() -> (connections: [ActiveConnection.Entry], revision: Int) {
        let (own, revision) = state.withLock { ($0.own, $0.arrivals + $0.departures) }
        return (own.inOrder, revision)
    }

    /// Takes what another node has now in place of what it had. The caller announces what has changed.
    func replace(_ node: NodeName, with entries: [ActiveConnection.Entry]) -> SubscriptionChanges {
        let connections = Connections(entries.map { ($0.subscriber, $0) }) { $1 }
        let before = state.withLock { state in
            defer { state.others[node] = connections.isEmpty ? nil : connections }
            return state.others[node] ?? [:]
        }
        return SubscriptionChanges(from: before, to: connections)
    }

    /// The subscriptions that a path names, by node, those of each in the order in which they began: on every node in the
    /// same order.
    func documents(at path: SubscriptionPath) -> [SubscriptionDocument] {
        switch path {
        case .all:
            return inOrder().flatMap { $0.documents() }
        case .of(let selector):
            return inOrder().flatMap { $0.documents().filter { $0.selector.utf8.elementsEqual(selector.utf8) } }
        case .one(let selector, let subscriber):
            let entry = state.withLock { state in
                state.own[subscriber] ?? state.others.values.lazy.compactMap { $0[subscriber] }.first
            }
            return entry?.documents().filter { $0.selector.utf8.elementsEqual(selector.utf8) } ?? []
        }
    }

    private func inOrder() -> [ActiveConnection.Entry] {
        var nodes = state.withLock { state in
            var nodes = state.others
            nodes[node] = state.own
            return nodes
        }
        return nodes.keys.sorted().flatMap { nodes.removeValue(forKey: $0)?.inOrder ?? [] }
    }

    /// Announces the subscriptions of a connection. Not in history: it says what is so now.
    func announce(_ entry: ActiveConnection.Entry, isActive: Bool) {
        for document in entry.documents(isActive: isActive) {
            // The path is percent-encoded, so it has no character that no topic may have.
            guard let topic = try? Topic(document.path.text) else { continue }
            hub.announce(Event(topic: topic, data: document.json, isPrivate: true))
        }
    }
}

extension ActiveSubscriptions.Connections {
    /// In the order in which they began.
    var inOrder: [ActiveConnection.Entry] { values.sorted { $0.arrival < $1.arrival } }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport
import Synchronization

/// Who is subscribed to what, on this node and, where a ``SubscriptionExchange`` tells it, on others: announced to those
/// who have a right to know, and kept for those who ask.
///
/// It holds one entry for each open stream, so as many as there may be connections, and each has as many selectors as a
/// subscription may name.
final class ActiveSubscriptions: Sendable {
    private struct State {
        var own = ConnectionBook()
        /// How many there ever were.
        var arrivals = 0
        /// How many of them have ended.
        var departures = 0
        /// None of the nodes is this one.
        var others: [NodeName: ConnectionBook] = [:]
        var untold = UntoldChanges()
        /// Whether a task announces what is untold, until nothing is.
        var isTelling = false
    }

    /// What the other nodes call this one.
    let node = NodeName()
    private let hub: Hub
    private let state = Mutex(State())

    init(of hub: Hub) { self.hub = hub }

    /// Keeps a connection and has its subscriptions announced: who hears of them finds them here.
    func insert(_ entry: ActiveConnection.Entry) {
        change { state in
            var entry = entry
            state.arrivals += 1
            entry.arrival = state.arrivals
            state.own.insert(entry)
            state.untold.begin(entry)
        }
    }

    /// Forgets a connection and has announced that its subscriptions have ended.
    func remove(_ entry: ActiveConnection.Entry) {
        change { state in
            state.departures += 1
            state.own.remove(entry.subscriber)
            state.untold.end(entry)
        }
    }

    /// Changes the connections of this node. Called from any thread: it is another that announces what has changed.
    private func change(_ change: (inout State) -> Void) {
        let isFirst = state.withLock { state in
            change(&state)
            defer { state.isTelling = true }
            return !state.isTelling
        }
        if isFirst { Task { await tell() } }
    }

    private func tell() async {
        while true {
            let changes = state.withLock { state in
                state.isTelling = state.untold.count > 0
                return state.untold.take()
            }
            if changes.isEmpty { return }
            for (entry, isActive) in changes { await announce(entry, isActive: isActive) }
        }
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
        let connections = ConnectionBook(entries)
        let before = state.withLock { state in
            defer { state.others[node] = entries.isEmpty ? nil : connections }
            return state.others[node] ?? ConnectionBook()
        }
        return SubscriptionChanges(from: before, to: connections)
    }

    /// The subscriptions that a path names, by node, those of each in the order in which they began: on every node in the
    /// same order.
    func documents(at path: SubscriptionPath) -> [SubscriptionDocument] {
        switch path {
        case .all:
            return books.flatMap(\.inOrder).flatMap { $0.documents() }
        case .of(let selector):
            return books.flatMap { $0.entries(to: selector) }.map { $0.document(of: selector) }
        case .one(let selector, let subscriber):
            let entry = books.lazy.compactMap { $0[subscriber] }.first
            guard let entry, entry.selectors.contains(where: { $0.isExactly(selector) }) else { return [] }
            return [entry.document(of: selector)]
        }
    }

    /// The connections of each node, in the order of their names.
    private var books: [ConnectionBook] {
        let nodes = state.withLock { state in
            var nodes = state.others
            nodes[node] = state.own
            return nodes
        }
        return nodes.sorted { $0.key < $1.key }.map(\.value)
    }

    /// Announces the subscriptions of a connection. Not in history: it says what is so now.
    func announce(_ entry: ActiveConnection.Entry, isActive: Bool) async {
        guard hub.showsPrivateEvents else { return }
        let events = entry.documents(isActive: isActive).compactMap { document in
            // The path is percent-encoded, so it has no character that no topic may have.
            (try? Topic(document.path.text)).map { Event(topic: $0, data: document.json, isPrivate: true) }
        }
        await hub.announce(events)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport
import Synchronization

/// The active subscriptions of this node, and with a ``SubscriptionExchange`` of the other nodes. It lists them, and
/// announces when they begin and end. All methods may be called from any thread.
///
/// It holds one entry for each open stream. So the limit of connections bounds the entries, and the limit of topics in a
/// subscription bounds the selectors of each.
final class ActiveSubscriptions: Sendable {
    private struct State {
        var own = ConnectionIndex()
        /// The number of connections that have begun.
        var arrivals = 0
        /// The number of connections that have ended.
        var departures = 0
        /// The connections of each other node.
        var others: [NodeName: ConnectionIndex] = [:]
        var pending = PendingAnnouncements()
        /// Whether a task announces what is pending.
        var isAnnouncing = false
    }

    /// The name of this node for the others.
    let node = NodeName()
    private let hub: Hub
    private let state = Mutex(State())

    init(of hub: Hub) { self.hub = hub }

    /// Adds a connection, and announces its subscriptions afterwards.
    func insert(_ entry: ActiveConnection.Entry) {
        change { state in
            var entry = entry
            state.arrivals += 1
            entry.arrival = state.arrivals
            state.own.insert(entry)
            state.pending.begin(entry)
        }
    }

    /// Removes a connection, and announces the end of its subscriptions.
    func remove(_ entry: ActiveConnection.Entry) {
        change { state in
            state.departures += 1
            state.own.remove(entry.subscriber)
            state.pending.end(entry)
        }
    }

    /// Changes the connections of this node. A task announces the changes, so no caller waits for that.
    private func change(_ change: (inout State) -> Void) {
        let isFirst = state.withLock { state in
            change(&state)
            defer { state.isAnnouncing = true }
            return !state.isAnnouncing
        }
        if isFirst { Task { await announcePending() } }
    }

    private func announcePending() async {
        while true {
            let changes = state.withLock { state in
                state.isAnnouncing = state.pending.count > 0
                return state.pending.take()
            }
            if changes.isEmpty { return }
            for (entry, isActive) in changes { await announce(entry, isActive: isActive) }
        }
    }

    /// Changes whenever a connection of this node begins or ends.
    var revision: Int { state.withLock { $0.arrivals + $0.departures } }

    /// The connections of this node in the order in which they began, and their ``revision``.
    func own() -> (connections: [ActiveConnection.Entry], revision: Int) {
        let (own, revision) = state.withLock { ($0.own, $0.arrivals + $0.departures) }
        return (own.inOrder, revision)
    }

    /// Replaces the connections of another node. The caller announces the changes.
    func replace(_ node: NodeName, with entries: [ActiveConnection.Entry]) -> SubscriptionChanges {
        let connections = ConnectionIndex(entries)
        let before = state.withLock { state in
            defer { state.others[node] = entries.isEmpty ? nil : connections }
            return state.others[node] ?? ConnectionIndex()
        }
        return SubscriptionChanges(from: before, to: connections)
    }

    /// The subscriptions that a path names: in the order of the names of their nodes, and then of their beginning. The order
    /// is the same on every node.
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
    private var books: [ConnectionIndex] {
        let nodes = state.withLock { state in
            var nodes = state.others
            nodes[node] = state.own
            return nodes
        }
        return nodes.sorted { $0.key < $1.key }.map(\.value)
    }

    /// Announces the subscriptions of a connection. The events do not enter history.
    func announce(_ entry: ActiveConnection.Entry, isActive: Bool) async {
        guard hub.showsPrivateEvents else { return }
        let events = entry.documents(isActive: isActive).compactMap { document in
            // The path is percent-encoded, so it has no forbidden character.
            (try? Topic(document.path.text)).map { Event(topic: $0, data: document.json, isPrivate: true) }
        }
        await hub.announce(events)
    }
}

/// The connections of this node whose beginning or end was not announced yet.
///
/// A connection that ends before its beginning was announced is not announced at all. So the entries are at most the open
/// connections, and those that were announced and have ended.
struct PendingAnnouncements {
    private var begun: [ExactText: ActiveConnection.Entry] = [:]
    private var ended: [ActiveConnection.Entry] = []

    var count: Int { begun.count + ended.count }

    mutating func begin(_ entry: ActiveConnection.Entry) { begun[ExactText(entry.subscriber)] = entry }

    mutating func end(_ entry: ActiveConnection.Entry) {
        if begun.removeValue(forKey: ExactText(entry.subscriber)) == nil { ended.append(entry) }
    }

    /// Removes and returns all changes: first the beginnings, in their order, and then the ends.
    mutating func take() -> [(entry: ActiveConnection.Entry, isActive: Bool)] {
        defer { self = PendingAnnouncements() }
        return begun.values.sorted { $0.arrival < $1.arrival }.map { ($0, true) } + ended.map { ($0, false) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The connections of a node, indexed by subscriber and by selector. A change takes as many steps as the connection has
/// selectors.
struct ConnectionIndex {
    /// The connections by subscriber.
    private(set) var entries: [ExactText: ActiveConnection.Entry] = [:]
    /// The subscribers by selector.
    private var subscribers: [ExactText: Set<ExactText>] = [:]

    init() {}

    init(_ entries: [ActiveConnection.Entry]) {
        for entry in entries { insert(entry) }
    }

    /// Inserts a connection, and replaces that of the same subscriber.
    mutating func insert(_ entry: ActiveConnection.Entry) {
        remove(entry.subscriber)
        let subscriber = ExactText(entry.subscriber)
        entries[subscriber] = entry
        for selector in entry.selectors { subscribers[ExactText(selector), default: []].insert(subscriber) }
    }

    mutating func remove(_ subscriber: String) {
        let subscriber = ExactText(subscriber)
        guard let entry = entries.removeValue(forKey: subscriber) else { return }
        for selector in entry.selectors.map(ExactText.init) {
            subscribers[selector]?.remove(subscriber)
            if subscribers[selector]?.isEmpty == true { subscribers[selector] = nil }
        }
    }

    subscript(subscriber: String) -> ActiveConnection.Entry? { entries[ExactText(subscriber)] }

    /// All connections in the order in which they began.
    var inOrder: [ActiveConnection.Entry] { Self.inOrder(entries.values) }

    /// The connections that another index does not have, in the order in which they began.
    func entries(notIn other: ConnectionIndex) -> [ActiveConnection.Entry] {
        Self.inOrder(entries.lazy.filter { other.entries[$0.key] == nil }.map(\.value))
    }

    /// The connections that are subscribed to a selector, in the order in which they began.
    func entries(to selector: String) -> [ActiveConnection.Entry] {
        Self.inOrder(subscribers[ExactText(selector)]?.compactMap { entries[$0] } ?? [])
    }

    private static func inOrder(_ entries: some Sequence<ActiveConnection.Entry>) -> [ActiveConnection.Entry] {
        entries.sorted { $0.arrival < $1.arrival }
    }
}

/// The difference between the connections of a node at two times. The selectors of a connection never change.
struct SubscriptionChanges: Sendable {
    /// In the order in which the connections began, as ``began``.
    let ended: [ActiveConnection.Entry]
    let began: [ActiveConnection.Entry]

    init(from before: ConnectionIndex, to now: ConnectionIndex) {
        ended = before.entries(notIn: now)
        began = now.entries(notIn: before)
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The connections of a node, found by their subscriber and by what they are subscribed to. A change takes as many steps
/// as the connection has selectors.
struct ConnectionBook {
    /// By subscriber.
    private(set) var entries: [ExactText: ActiveConnection.Entry] = [:]
    /// The subscribers, by selector.
    private var subscribers: [ExactText: Set<ExactText>] = [:]

    init() {}

    init(_ entries: [ActiveConnection.Entry]) {
        for entry in entries { insert(entry) }
    }

    /// Takes the place of a connection of the same subscriber.
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

    /// The connections that another book does not have, in the order in which they began.
    func entries(notIn other: ConnectionBook) -> [ActiveConnection.Entry] {
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

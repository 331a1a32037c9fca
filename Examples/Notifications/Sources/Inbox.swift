// SPDX-License-Identifier: Apache-2.0

import MartletHTTP
import ServiceLifecycle
import Synchronization

/// What the page shows: the sum of the events in history. The server renders it, and open pages add what comes later, so
/// they cannot disagree.
final class Inbox: Service {
    static let topic: Topic = "inbox"

    private struct State {
        /// The newest first.
        var items: [(html: String, isUnread: Bool)] = []
        /// The event after which this is what the page shows.
        var lastEventID = "earliest"

        mutating func apply(_ event: Delivery) {
            switch event.type {
            case "notification": items = [(event.data, true)] + items.prefix(49)
            case "read": items = items.map { ($0.html, false) }
            default: break
            }
            lastEventID = event.id
        }
    }

    private let hub: Hub
    private let state = Mutex(State())

    init(hub: Hub) { self.hub = hub }

    var rendered: (items: String, unread: Int, lastEventID: String) {
        let state = state.withLock { $0 }
        let items = state.items.map { "<li\($0.isUnread ? " class=\"unread\"" : "")>\($0.html)</li>" }
        return (items.joined(), state.items.count { $0.isUnread }, state.lastEventID)
    }

    func run() async throws {
        try await hub.subscribe(to: Self.topic, after: "earliest") { events in
            for try await event in events.cancelOnGracefulShutdown() { state.withLock { $0.apply(event) } }
        }
    }
}

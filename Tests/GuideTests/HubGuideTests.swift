// SPDX-License-Identifier: Apache-2.0

import EventStream
import Martlet
import MartletClient
import MartletHooks
import MartletSQLite
import MartletValues
import TestSupport
import Testing

#if Redis
import MartletRedis
#endif

// The Swift code of the guides in Martlet.docc is in this folder, line for line: `scripts/checks/guides` compares them.

@Suite(.timeLimit(.minutes(10))) struct HubGuideTests {
    @Test("The code of *Resuming and gaps* continues after an id, and notices a gap")
    func resuming() async throws {
        var (shown, reloads): ([String], Int) = ([], 0)
        func show(_ data: String) { shown.append(data) }
        func reload() { reloads += 1 }
        try await quickHub().whileRunning { hub in
            let packed = try await hub.publish("packed", to: "orders/42")
            try await hub.publish("shipped", to: "orders/42")
            for storedID in [packed, "of-another-log"] {
                shown = []
                try await hub.subscribe(to: "orders/42", after: storedID) { events in
                    for try await event in events {
                        if event.type == Gap.eventType { reload() } else { show(event.data) }
                        // Store event.id together with what the event has changed.
                        if event.data == "shipped" { break }
                    }
                }
                #expect(shown.last == "shipped")
                #expect(reloads == (storedID == packed ? 0 : 1))
            }
        }
    }

    @Test("The code of the overview of *MartletHooks* makes a service")
    func hooks() async throws {
        let (hub, secret) = (quickHub(), "a secret of sixteen bytes, or more")
        var configuration = try HookConfiguration(url: "http://127.0.0.1:3000/hooks")
        configuration.topics = ["sensors/{id}"]
        configuration.secrets = [try HookSecret(secret)]
        let hooks = HookService(of: hub, configuration: configuration)
        let running = Task { try await hooks.run() }
        running.cancel()
        try await running.value
    }

    struct Order: Codable { var status: String }

    @Test("The code of *Publishing from your application* publishes text, values, private events and a batch once")
    func publishing() async throws {
        try await quickHub().whileRunning { hub in
            let order = Order(status: "shipped")
            // Text, a value as JSON, and an event with all its fields.
            try await hub.publish("shipped", to: "orders/42")
            try await hub.publish(order, to: "orders/42", type: "status")
            try await hub.publish(Event(topic: "users/alice", data: "Hello", type: "note", isPrivate: true))

            // All or none, and once, however often this runs.
            let events = [Event(topic: "stock/1", data: "7"), Event(topic: "stock/2", data: "0")]
            try await hub.publish(contentsOf: events, once: "import-2026-11-29")
            try await hub.publish(contentsOf: events, once: "import-2026-11-29")

            let everything = Selection(selectors: [.every], grants: [.every])
            let data = try await hub.subscribe(to: everything, after: "earliest") { published in
                var data: [String] = []
                for try await event in published {
                    data.append(event.data)
                    if event.topic == "stock/2" { break }
                }
                return data
            }
            #expect(data == ["shipped", #"{"status":"shipped"}"#, "Hello", "7", "0"])
        }
    }

    enum Status: String, Codable { case open, closed }

    @Test("The code of *State* sets a state, reads it and follows it")
    func state() async throws {
        try await quickHub().whileRunning { hub in
            let status = StateTopic<Status>("shop/status", of: hub)
            try await status.set(.open)
            let current = try await status.current()?.value
            #expect(current == .open)
            var seen: [Status] = []
            for try await update in status.updates {
                seen.append(update.value)
                if update.value == .closed { break }
                try await status.set(.closed)
            }
            #expect(seen == [.open, .closed])
        }
    }

    @Test("The code of the page of `EventStream` parses an event")
    func parsing() throws {
        var printed: [String] = []
        func print(_ texts: String...) { printed += texts }
        var parser = EventStreamParser()
        for element in try parser.parse(Array("id: 7\ndata: shipped\n\n".utf8)) {
            if case .event(let event) = element { print(event.id ?? "", event.data ?? "") }
        }
        #expect(printed == ["7", "shipped"])
    }

    // MARK: Compiled, and not run: these need a server at a place that is not free on every machine, or leave a file.

    func receiving() async throws {
        for try await event in EventSource("http://localhost:8080/events/orders/42") {
            print(event.data ?? "")
        }
    }

    func publishingFromElsewhere() async throws -> String {
        let hub = HubClient("http://localhost:8080")
        let id = try await hub.publish("shipped", to: "orders/42", type: "status")
        return id
    }

    func keepingHistory() -> Hub {
        let hub = Hub(log: SQLiteLog(path: "hub.db"))
        return hub
    }

    #if Redis
    func sharingALog() -> Hub {
        let hub = Hub(log: RedisLog(RedisLogConfiguration(host: "redis.internal")))
        return hub
    }
    #endif
}

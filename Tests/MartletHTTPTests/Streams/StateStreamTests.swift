// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import Martlet
import MartletHTTP
import MartletTesting
import MartletValues
import TestSupport
import Testing

/// A state as a stream of the hub.
@Suite(.timeLimit(.minutes(10))) struct StateStreamTests {
    private func run(
        hub: Hub, _ body: @Sendable @escaping (TestServer, StateTopic<Int>) async throws -> Void
    ) async throws {
        let state = StateTopic<Int>("level", of: hub)
        func add(_ router: Router<BasicEventStreamRequestContext>) {
            router.events("level", from: hub) { _, _ in HubStream(state) }
            router.events("secret", from: hub) { _, _ in HubStream(state, grant: Grant(subscribe: [])) }
        }
        try await TestServer.run(hub: hub, adding: add) { try await body($0, state) }
    }

    @Test("A new client receives the present value, and then each newer one", arguments: [0, 1])
    func whoComesIsGiven(shards: Int) async throws {
        try await run(hub: quickHub { $0.shards = shards }) { server, state in
            let early = try await TestEventSource(port: server.port, path: "/level")
            for level in 1...3 { try await state.set(level) }
            for level in 1...3 { #expect(try await early.next()?.data == "\(level)") }
            let late = try await TestEventSource(port: server.port, path: "/level")
            let first = try await late.next()
            #expect(first?.data == "3")
            try await state.set(4)
            #expect(try await late.next()?.data == "4")
            #expect(try await early.next()?.data == "4")
        }
    }

    @Test("A client that comes back continues, or receives the present value if it cannot")
    func whoComesBackGoes() async throws {
        try await run(hub: quickHub()) { server, state in
            var ids: [String] = []
            for level in 1...4 { ids.append(try await state.set(level)) }
            let back = try await TestEventSource(port: server.port, path: "/level", lastEventID: ids[2])
            #expect(try await back.next()?.data == "4")
            let current = try await TestEventSource(port: server.port, path: "/level", lastEventID: ids[3])
            try await server.hub.publish("other", to: "elsewhere")
            try await state.set(5)
            #expect(try await current.next()?.data == "5")
            let lost = try await TestEventSource(port: server.port, path: "/level", lastEventID: "never given")
            let present = try await lost.next()
            #expect(present?.data == "5")
            #expect(present?.event == nil)
        }
    }

    @Test("A state that history has lost is still given")
    func stateThatHistoryHasLost() async throws {
        var retention = Retention()
        retention.events = 2
        try await run(hub: quickHub(retention: retention)) { server, state in
            let id = try await state.set(7)
            for number in 0..<10 { try await server.hub.publish("\(number)", to: "elsewhere") }
            let late = try await TestEventSource(port: server.port, path: "/level")
            #expect(try await late.next()?.data == "7")
            let back = try await TestEventSource(port: server.port, path: "/level", lastEventID: id)
            try await state.set(8)
            #expect(try await back.next()?.data == "8")
        }
    }

    @Test("A client without the right is refused")
    func whoMay() async throws {
        try await run(hub: quickHub()) { server, _ in
            let answer = try await server.request("GET", "/secret")
            #expect(answer.status == 403)
        }
    }
}

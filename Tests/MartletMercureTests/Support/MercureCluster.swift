// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Martlet
import MartletHTTP
import MartletMercure
import MartletTesting
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

/// Nodes that speak Mercure, share a log and a board, and exchange who is subscribed whenever the test says so.
struct MercureCluster: Sendable {
    static let root = "/.well-known/mercure/subscriptions"
    /// Subscribes to all subscriptions.
    static let watching = "topic=/.well-known/mercure/subscriptions%7B/topic%7D%7B/subscriber%7D"
    /// The topic of whom that is.
    static let everySubscription = root + "{/topic}{/subscriber}"

    let clock: ManualClock
    let board: MemoryBoard<ManualClock>
    let recorded: RecordingLog
    private(set) var nodes: [Node] = []

    subscript(index: Int) -> Node { nodes[index] }

    /// Starts so many nodes. The token `watcher` may see all subscriptions.
    static func run(
        _ count: Int = 2, grants: [String: Grant] = [:],
        exchange configuration: ExchangeConfiguration = ExchangeConfiguration(),
        maximumBytes: Int = NodePosting.defaultMaximumBytes,
        _ body: @Sendable @escaping (MercureCluster) async throws -> Void
    ) async throws {
        let watcher = Grant(subscribe: [everySubscription].selectors, seesAllPublic: true)
        let grants = ["watcher": watcher].merging(grants) { $1 }
        let clock = ManualClock()
        let cluster = MercureCluster(
            clock: clock, board: MemoryBoard(clock: clock, maximumBytes: maximumBytes), recorded: RecordingLog())
        try await cluster.start(count, VectorLog.Store(), grants, configuration, body)
    }

    private func start(
        _ count: Int, _ store: VectorLog.Store, _ grants: [String: Grant], _ exchanging: ExchangeConfiguration,
        _ body: @Sendable @escaping (MercureCluster) async throws -> Void
    ) async throws {
        guard nodes.count < count else {
            try await tick(0)
            return try await body(self)
        }
        var configuration = HubConfiguration()
        configuration.grace = .zero
        configuration.retry = .zero ... .zero
        let hub = Hub(log: VectorLog(store), configuration: configuration, logger: quiet)
        let exchange = SubscriptionExchange(
            of: hub, on: board, configuration: exchanging, clock: clock, logger: recorded.logger)
        var options = MercureOptions()
        options.activeSubscriptions = true
        try await MercureServer.run(hub: hub, grants: grants, options: options, exchange: exchange) { mercure in
            let node = Node(mercure: mercure, exchange: exchange)
            var cluster = self
            cluster.nodes.append(node)
            defer { node.task.cancel() }
            try await cluster.start(count, store, grants, exchanging, body)
        }
    }

    /// Has all nodes exchange what they know so many times, an interval after the last time.
    func tick(_ count: Int) async throws {
        let sleepers = nodes.count { $0.isAlive }
        try await TestConnection.withPatience { try await clock.waitForSleepers(sleepers) }
        for _ in 0..<count {
            clock.advance(by: .seconds(1))
            try await TestConnection.withPatience { try await clock.waitForSleepers(sleepers) }
        }
    }

    /// Until what has happened before is known everywhere, as promised.
    func settle() async throws { try await tick(2) }

    final class Node: Sendable {
        let mercure: MercureServer
        private let group: ServiceGroup
        fileprivate let task: Task<Void, any Error>
        private let alive = Atomic(true)

        fileprivate init(mercure: MercureServer, exchange: SubscriptionExchange) {
            let group = ServiceGroup(services: [exchange], logger: quiet)
            self.mercure = mercure
            self.group = group
            task = Task { try await group.run() }
        }

        fileprivate var isAlive: Bool { alive.load(ordering: .acquiring) }

        /// The node is heard of no more, as when its machine has no power.
        func die() async {
            alive.store(false, ordering: .releasing)
            task.cancel()
            _ = await task.result
        }

        /// The node shuts down.
        func stop() async throws {
            alive.store(false, ordering: .releasing)
            await group.triggerGracefulShutdown()
            try await task.value
        }

        /// Who is subscribed, as the node says, without those who watch.
        func topics(_ path: String = "") async throws -> [String] {
            let answer = try await list(path)
            #expect(answer.status == 200)
            return try SubscriptionJSON(answer.body).subscriptions?.compactMap(\.topic)
                .filter { $0 != everySubscription } ?? []
        }

        func list(_ path: String = "", token: String = "watcher") async throws -> TestResponse {
            try await mercure.request("GET", "/subscriptions\(path)", token: token)
        }

        /// Somebody who watches all subscriptions, and has seen himself.
        func watch() async throws -> TestEventSource {
            let source = try await mercure.listen(watching, token: "watcher")
            #expect(try await source.next { $0.topic == everySubscription }.active == true)
            return source
        }
    }
}

extension TestEventSource {
    /// What is said next of a subscription that a closure chooses; others are passed over.
    func next(where isWanted: (SubscriptionJSON) -> Bool) async throws -> SubscriptionJSON {
        while true {
            let document = try SubscriptionJSON(try await next()?.data)
            if isWanted(document) { return document }
        }
    }

    /// What is said next of another subscription than those of who watches.
    func nextSubscription() async throws -> SubscriptionJSON {
        try await next { $0.topic != MercureCluster.everySubscription }
    }
}

/// A document of the API of subscriptions, as a client reads it.
struct SubscriptionJSON: Decodable, Equatable {
    var id: String
    var type: String
    var subscriber: String?
    var topic: String?
    var active: Bool?
    var payload: [String: String]?
    var lastEventID: String?
    var subscriptions: [SubscriptionJSON]?

}

extension SubscriptionJSON {
    init(_ text: String?) throws {
        self = try JSONDecoder().decode(SubscriptionJSON.self, from: Data((text ?? "").utf8))
    }
}

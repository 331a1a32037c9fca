// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Martlet
import MartletMetrics
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import MartletHooks

/// A receiver that takes the bodies of requests, or fails as long as a test says so.
final class TestReceiver: Sendable {
    private let state = Mutex((bodies: [String](), attempts: 0, isAway: false, hangs: false))

    struct Away: Error {}

    var bodies: [String] { state.withLock { $0.bodies } }
    var attempts: Int { state.withLock { $0.attempts } }

    var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }

    var hangs: Bool {
        get { state.withLock { $0.hangs } }
        set { state.withLock { $0.hangs = newValue } }
    }

    /// What all hooks say, in their order: `occupied a`.
    var said: [String] {
        bodies.flatMap { body in
            body.matches(of: #/"event":"([a-z]+)"(?:,"(?:topic|pattern)":"([^"]*)")?/#).map { match in
                match.output.2.map { "\(match.output.1) \($0)" } ?? String(match.output.1)
            }
        }
    }

    func take(_ body: [UInt8]) async throws {
        let (isAway, hangs) = state.withLock { state in
            state.attempts += 1
            if !state.isAway { state.bodies.append(String(decoding: body, as: UTF8.self)) }
            return (state.isAway, state.hangs)
        }
        if hangs { try await Task.sleep(for: .seconds(3600)) }
        if isAway { throw Away() }
    }
}

/// A board that counts how often nodes look at it: once in each round.
private final class CountingBoard: NodeBoard {
    private let board: MemoryBoard<ManualClock>
    private let looks = Atomic(0)

    init(clock: ManualClock) { board = MemoryBoard(clock: clock) }

    var rounds: Int { looks.load(ordering: .relaxed) }
    var maximumBytes: Int { board.maximumBytes }

    func post(_ posting: NodePosting, as node: NodeName, for expiry: Duration) async throws {
        try await board.post(posting, as: node, for: expiry)
    }

    func renew(_ node: NodeName, for expiry: Duration) async throws -> Bool { try await board.renew(node, for: expiry) }
    func remove(_ node: NodeName) async throws { try await board.remove(node) }
    func posting(of node: NodeName) async throws -> NodePosting? { try await board.posting(of: node) }

    func versions() async throws -> [NodeName: UInt64] {
        looks.add(1, ordering: .relaxed)
        return try await board.versions()
    }
}

@Suite("Hooks of a hub", .timeLimit(.minutes(3))) struct HookRunTests {
    private struct Rig: Sendable {
        let hub: Hub
        let clock = ManualClock()
        let receiver = TestReceiver()
        let recorded = RecordingLog()
        let registry = PrometheusRegistry()

        func subscribe(_ topic: Topic) async throws -> Subscription {
            try await hub.subscribe(to: .of(topic), after: nil)
        }

        /// Until so many tasks of the hooks wait for a time, as they have done everything else.
        func settle(_ sleepers: Int) async throws {
            try await TestConnection.withPatience { try await clock.waitForSleepers(sleepers) }
        }
    }

    private static func run(
        _ limits: HookLimits = HookLimits(), topics: Set<TopicSelector> = [.every],
        _ body: @Sendable @escaping (Rig, HookRun<ManualClock>) async throws -> Void
    ) async throws {
        try await quickHub().whileRunning { hub in
            let rig = Rig(hub: hub)
            let run = HookRun(
                NodeName(text: "me"), limits, hasBoard: false, clock: rig.clock, logger: rig.recorded.logger,
                metrics: HookMetrics(rig.registry), occupancy: hub.occupancy(of: topics),
                isDraining: { hub.isDraining },
                send: rig.receiver.take)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await run.work(nil) }
                defer { tasks.cancelAll() }
                try await body(rig, run)
            }
        }
    }

    @Test("The first subscriber and the leave of the last are told, a reload is not")
    func lifeOfATopic() async throws {
        try await Self.run(topics: ["a"]) { rig, run in
            var subscription: Subscription? = try await rig.subscribe("a")
            let other = try await rig.subscribe("b")
            try await until { rig.receiver.said == ["occupied a"] }
            try await rig.settle(1)
            rig.clock.advance(by: .seconds(5))
            try await until { rig.receiver.said == ["occupied a", "synced"] }
            for _ in 0..<3 {
                var revision = run.revision
                subscription = nil
                try await until { run.revision > revision }
                try await rig.settle(1)
                rig.clock.advance(by: .seconds(4))
                revision = run.revision
                subscription = try await rig.subscribe("a")
                try await until { run.revision > revision }
                rig.clock.advance(by: .seconds(1))
                try await until { rig.clock.sleeperCount == 0 }
            }
            subscription = nil
            try await rig.settle(1)
            rig.clock.advance(by: .seconds(5))
            try await until { rig.receiver.said.count > 2 }
            #expect(rig.receiver.said == ["occupied a", "synced", "vacated a"])
            withExtendedLifetime((subscription, other)) {}
        }
    }

    @Test("While the receiver is away only the last state of a topic waits, and comes when it is back")
    func away() async throws {
        try await Self.run { rig, run in
            rig.receiver.isAway = true
            var first: Subscription? = try await rig.subscribe("a")
            let second = try await rig.subscribe("b")
            try await until { rig.receiver.attempts > 0 }
            let revision = run.revision
            first = nil
            try await until { run.revision > revision }
            // The end of the first statement, and the wait before the next attempt.
            try await rig.settle(2)
            rig.clock.advance(by: .seconds(10))
            try await until { rig.receiver.attempts > 1 }
            try await rig.settle(1)
            rig.receiver.isAway = false
            rig.clock.advance(by: .seconds(60))
            try await until { rig.receiver.said.count >= 3 }
            #expect(Set(rig.receiver.said) == ["occupied b", "vacated a", "synced"])
            #expect(rig.recorded.lines.count { $0.contains("cannot be delivered") } == 1)
            #expect(rig.recorded.lines.count { $0.contains("delivered again") } == 1)
            #expect(rig.registry.render().contains("martlet_hooks_delivered_total 3"))
            #expect(rig.registry.render().contains("martlet_hooks_dropped_total 0"))
            #expect(rig.registry.render().contains("martlet_topics_occupied 1"))
            withExtendedLifetime((first, second)) {}
        }
    }

    @Test("What overflows the queue is counted and logged once in a while, and all is stated when the receiver is back")
    func overflow() async throws {
        var limits = HookLimits()
        limits.queue = 2
        try await Self.run(limits) { rig, _ in
            rig.receiver.isAway = true
            let first = try await rig.subscribe("first")
            try await until { rig.receiver.attempts > 0 }
            var subscriptions = [first]
            for name in ["a", "b", "c", "d"] { subscriptions.append(try await rig.subscribe(Topic(name))) }
            try await until { rig.registry.render().contains("martlet_hooks_dropped_total 2") }
            #expect(rig.recorded.lines.count { $0.contains("Hooks were dropped") } == 1)
            rig.receiver.isAway = false
            try await rig.settle(2)
            rig.clock.advance(by: .seconds(5))
            try await until { rig.receiver.said.last == "synced" }
            #expect(
                Set(rig.receiver.said) == [
                    "occupied first", "occupied a", "occupied b", "occupied c", "occupied d", "synced",
                ])
            withExtendedLifetime(subscriptions) {}
        }
    }

    @Test("A shutdown delivers what waits; a receiver that hangs or fails delays it by a bounded time")
    func flush() async throws {
        try await Self.run { rig, run in
            rig.receiver.isAway = true
            let subscription = try await rig.subscribe("a")
            try await until { rig.receiver.attempts > 0 }
            await run.flush()
            #expect(rig.receiver.said == [])
            #expect(rig.recorded.lines.contains { $0.contains("not delivered before the shutdown") })

            rig.receiver.hangs = true
            async let flushed: Void = run.flush()
            try await until { rig.receiver.attempts > 2 }
            // The retry, the first statement, and the end of the flush.
            try await rig.settle(3)
            rig.receiver.hangs = false
            rig.receiver.isAway = false
            rig.clock.advance(by: HookLimits.flushTime)
            await flushed
            try await until { rig.receiver.said == ["occupied a"] }
            withExtendedLifetime(subscription) {}
        }
    }

    @Test("Two nodes tell each topic once, and a node that dies loses its topics after its expiry")
    func nodes() async throws {
        let clock = ManualClock()
        let board = CountingBoard(clock: clock)
        let receivers = (TestReceiver(), TestReceiver())
        try await quickHub().whileRunning { first in
            try await quickHub().whileRunning { second in
                let tasks = [("1", first, receivers.0), ("2", second, receivers.1)].map { name, hub, receiver in
                    let run = HookRun(
                        NodeName(text: name), HookLimits(), hasBoard: true, clock: clock, logger: quiet,
                        metrics: HookMetrics(NOOPMetricsHandler.instance), occupancy: hub.occupancy(of: [.every]),
                        isDraining: { false }, send: receiver.take)
                    let exchange = NodeExchange(
                        of: run, on: board, .init("Occupied topics", "topics"),
                        configuration: HookLimits().exchange, forgetsWhileAway: false, clock: clock, logger: quiet)
                    return Task { await run.work(exchange) }
                }
                defer { for task in tasks { task.cancel() } }
                // Rounds of the exchange, until something holds.
                func tick(_ nodes: Int = 2, until condition: () -> Bool) async throws {
                    while !condition() {
                        try await TestConnection.withPatience { try await clock.waitForSleepers(nodes) }
                        let (rounds, step) = (board.rounds, Duration.milliseconds(500))
                        clock.advance(by: step)
                        var looks = 0
                        try await until {
                            looks += 1
                            // A node that was still in its round sleeps from now on.
                            if looks.isMultiple(of: 1000) { clock.advance(by: step) }
                            return board.rounds >= rounds + nodes
                        }
                        // What follows from the round may be said now.
                        for _ in 0..<20 { try await Task.step() }
                    }
                }
                let own = try await first.subscribe(to: .of("a", "b"), after: nil)
                var other: Subscription? = try await second.subscribe(to: .of("b", "c"), after: nil)
                try await tick { receivers.0.said.contains("synced") && receivers.0.said.contains("occupied c") }
                #expect(Set(receivers.0.said) == ["occupied a", "occupied b", "occupied c", "synced"])
                other = nil
                try await tick { receivers.0.said.contains("vacated c") }
                #expect(receivers.0.said.count == 5 && receivers.1.said == [])

                other = try await second.subscribe(to: .of("d"), after: nil)
                try await tick { receivers.0.said.contains("occupied d") }
                // The first node dies: it renews nothing more.
                tasks[0].cancel()
                await tasks[0].value
                try await tick(1) { receivers.1.said.last == "synced" }
                // What was vacated shortly before may be said again.
                let said = Set(receivers.1.said).subtracting(["vacated c"])
                #expect(said == ["vacated a", "vacated b", "occupied d", "synced"])
                withExtendedLifetime((own, other)) {}
            }
        }
    }
}

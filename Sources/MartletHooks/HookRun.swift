// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletSupport
import Synchronization

/// Runs a ``HookPlan``: feeds it with changes, tells it the time, and delivers its hooks, one request after the other.
final class HookRun<RunClock: Clock>: NodeExchangeState where RunClock.Duration == Duration {
    typealias Send = @Sendable (_ body: [UInt8]) async throws -> Void

    private struct State {
        var plan: HookPlan<RunClock.Instant>
        /// What is counted and logged already.
        var dropped = 0
        var omitted = 0
        /// Whether there is something to warn of.
        var hasNews = false
        var nextWarning: RunClock.Instant?
    }

    /// The least time between two warnings about hooks that were dropped or topics that are left out.
    private static var warningInterval: Duration { .seconds(60) }

    let node: NodeName
    private let limits: HookLimits
    private let clock: RunClock
    private let logger: Logger
    private let metrics: HookMetrics
    private let occupancy: Occupancy
    private let closed: ClosedStreams?
    private let isDraining: @Sendable () -> Bool
    private let send: Send
    private let state: Mutex<State>
    private let changed = Signal()

    init(
        _ node: NodeName, _ limits: HookLimits, hasBoard: Bool, clock: RunClock, logger: Logger,
        metrics: HookMetrics, occupancy: Occupancy, closed: ClosedStreams? = nil,
        isDraining: @escaping @Sendable () -> Bool, send: @escaping Send
    ) {
        self.node = node
        self.limits = limits
        self.clock = clock
        self.logger = logger
        self.metrics = metrics
        self.occupancy = occupancy
        self.closed = closed
        self.isDraining = isDraining
        self.send = send
        state = Mutex(State(plan: HookPlan(node, limits, hasBoard: hasBoard, at: clock.now)))
    }

    /// Follows and delivers until the task is cancelled.
    func work(_ exchange: NodeExchange?) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await self.follow() }
            tasks.addTask { try? await self.keepTime() }
            tasks.addTask { try? await self.deliver() }
            if let exchange { tasks.addTask { try? await exchange.run() } }
            if let closed { tasks.addTask { try? await self.follow(closed) } }
        }
    }

    private func follow() async {
        for await change in occupancy { self.change { $0.take(change, at: $1) } }
    }

    private func follow(_ closed: ClosedStreams) async throws {
        while true {
            let seen = closed.changed.version
            changed.fire()
            try await closed.changed.wait(past: seen)
        }
    }

    /// Changes the plan, and has the tasks look at it.
    private func change(_ body: (inout HookPlan<RunClock.Instant>, RunClock.Instant) -> Void) {
        let isDraining = self.isDraining()
        let now = clock.now
        let report = state.withLock { state in
            body(&state.plan, now)
            state.plan.advance(to: now, isDraining: isDraining)
            return self.report(&state, at: now)
        }
        changed.fire()
        publish(report)
    }

    /// What has to be counted and logged.
    private struct Report: Sendable {
        var levels: HookPlan<RunClock.Instant>.Levels
        /// How many hooks were dropped since the last report.
        var dropped: Int
        var warns = false
    }

    private func report(_ state: inout State, at now: RunClock.Instant) -> Report {
        var levels = state.plan.levels
        if let closed = closed?.levels {
            levels.waiting += closed.waiting
            levels.dropped += closed.dropped
        }
        var report = Report(levels: levels, dropped: levels.dropped - state.dropped)
        state.dropped = report.levels.dropped
        report.levels.omitted += occupancy.omitted
        state.hasNews = state.hasNews || report.dropped > 0 || report.levels.omitted > state.omitted
        state.omitted = report.levels.omitted
        if state.hasNews, state.nextWarning.map({ $0 <= now }) ?? true {
            report.warns = true
            state.hasNews = false
            state.nextWarning = now.advanced(by: Self.warningInterval)
        }
        return report
    }

    private func publish(_ report: Report) {
        let levels = report.levels
        metrics.record(occupied: levels.occupied, waiting: levels.waiting)
        metrics.dropped(report.dropped)
        guard report.warns else { return }
        logger.warning(
            "Hooks were dropped since too many wait or the receiver is away for too long, or topics left out since too many are occupied.",
            metadata: ["hooks dropped": "\(levels.dropped)", "topics left out": "\(levels.omitted)"])
    }

    private func keepTime() async throws {
        while true {
            let seen = changed.version
            let isDraining = self.isDraining()
            if let time = state.withLock({ $0.plan.nextTime(isDraining: isDraining) }) {
                // What is added later is not due earlier, or the change that adds it looks at it.
                try await clock.sleep(until: time, tolerance: nil)
                change { _, _ in }
            } else {
                try await changed.wait(past: seen)
            }
        }
    }

    private func deliver() async throws {
        var delay = RetryDelay(limits.retry)
        var isFailing = false
        while true {
            let seen = changed.version
            let hooks = next()
            guard !hooks.isEmpty else {
                try await changed.wait(past: seen)
                continue
            }
            do {
                try await deliver(hooks)
                delay.succeeded()
                if isFailing { logger.info("Hooks are delivered again.") }
                isFailing = false
            } catch {
                try Task.checkCancellation()
                metrics.failed()
                if !isFailing {
                    logger.warning("Hooks cannot be delivered. Trying again.", metadata: ["error": "\(error)"])
                }
                isFailing = true
                let wait = min((error as? HookFailure)?.retryAfter ?? .zero, limits.retry.upperBound)
                try await clock.sleep(for: max(delay.next(), wait))
            }
        }
    }

    private func next() -> [Hook] {
        let now = clock.now
        let (hooks, report) = state.withLock { state in
            var hooks = state.plan.next(at: now)
            hooks += closed?.next(atMost: HookLimits.hooksPerRequest, from: node) ?? []
            return (hooks, self.report(&state, at: now))
        }
        publish(report)
        return hooks
    }

    private func deliver(_ hooks: [Hook]) async throws {
        try await send(Hook.body(hooks, from: node))
        state.withLock { $0.plan.delivered() }
        closed?.delivered()
        metrics.delivered(hooks.count)
    }

    /// Delivers what waits, if that takes at most ``HookLimits/flushTime``.
    func flush() async {
        try? await withTimeout(HookLimits.flushTime, clock: clock, throwing: CancellationError()) {
            while case let hooks = self.next(), !hooks.isEmpty { try await self.deliver(hooks) }
        }
        let count = state.withLock { $0.plan.levels.waiting } + (closed?.levels.waiting ?? 0)
        if count > 0 {
            logger.warning("Hooks were not delivered before the shutdown.", metadata: ["hooks": "\(count)"])
        }
    }
}

/// What the nodes tell each other.
extension HookRun {
    var revision: Int { state.withLock { $0.plan.revision } }

    func posting(atMost bytes: Int) -> (bytes: [UInt8], revision: Int, entries: Int, omitted: Int) {
        let (topics, revision) = state.withLock { ($0.plan.ownTopics, $0.plan.revision) }
        let (list, omitted) = TopicList.encode(topics, atMost: bytes)
        return (list, revision, topics.count, omitted)
    }

    func replace(_ node: NodeName, with bytes: [UInt8]?) async throws {
        let topics = try bytes.map(TopicList.decode) ?? []
        change { $0.replace(node, with: topics, at: $1) }
    }

    func roundEnded(with others: [NodeName], isAway: Bool) {
        change { $0.see(others, isAway: isAway, at: $1) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Sends what is published to a shared log, from a thread of its own: what comes while a group is on its way is the next.
///
/// A group whose answer is lost is sent again under the same ``RecordID``, for as long as somebody waits for it and never
/// after that: who was told that it failed will not see it published later by this node.
package final class GroupPublisher: Sendable {
    /// What is sent at once.
    package struct Group: Sendable {
        package var id: RecordID
        package var publishes: [(events: [Event], key: String?)]
    }

    /// Sends a group and returns an answer for each publish. Throws ``LogUnreachable`` where it may be tried again, else
    /// what everybody is told.
    package typealias Send = @Sendable (Group) throws -> [Result<[Position], MartletError>]

    private struct State {
        var backlog: PublishBacklog
        var isStarted = false
        var isStopped = false
        var hasEnded = false
    }

    private let node: String
    private let patience: Duration
    private let delay: ClosedRange<Duration>
    private let idleTime: Duration
    private let reachability: Reachability
    private let send: Send
    private let idle: @Sendable () -> Void
    private let startThread: WorkThread.Starter
    private let state: Mutex<State>
    private let bell = Bell()
    private let ended = Signal()

    /// - Parameters:
    ///   - node: What no other node is called.
    ///   - patience: How long a publish waits for a server that is away.
    ///   - delay: How long is waited before a group is sent again.
    ///   - reachability: What others find out counts too: while the server is away for longer than the patience nothing is
    ///     sent, so somebody else has to find it back.
    ///   - idleTime: How often `idle` is called; at most once between two groups.
    ///   - send: Called on the thread, one call after the other.
    ///   - idle: Called on the thread.
    package init(
        node: String, limits: PublishBacklog.Limits, patience: Duration, delay: ClosedRange<Duration>,
        idleTime: Duration, reachability: Reachability, send: @escaping Send,
        idle: @escaping @Sendable () -> Void = {},
        startThread: @escaping WorkThread.Starter = { body throws(ThreadError) in try WorkThread.start(body) }
    ) {
        self.node = node
        self.patience = patience
        self.delay = delay
        self.idleTime = idleTime
        self.reachability = reachability
        self.send = send
        self.idle = idle
        self.startThread = startThread
        state = Mutex(State(backlog: PublishBacklog(limits)))
    }

    /// Starts the thread, where it was not stopped already. Called once.
    ///
    /// - Throws: ``ThreadError`` if it does not start. Then every publish is refused.
    package func start() throws(ThreadError) {
        let isDue = state.withLock { state in
            state.isStarted = !state.isStopped
            return state.isStarted
        }
        guard isDue else { return }
        do {
            try startThread { self.run() }
        } catch {
            state.withLock { state in
                state.isStarted = false
                state.isStopped = true
            }
            refuseRest()
            throw error
        }
    }

    /// Refuses what waits and ends the thread, once what is on its way has come or failed.
    package func stop() async {
        let runs = state.withLock { state in
            state.isStopped = true
            return state.isStarted
        }
        guard runs else { return }
        bell.ring()
        // Also where the task is cancelled.
        await Task { try? await ended.wait { state.withLock { $0.hasEnded ? () : nil } } }.value
    }

    /// Publishes, and returns once that is accepted.
    ///
    /// - Throws: ``MartletError``: `overloaded` where too much waits, `storageFailed` where the server is away for longer
    ///   than the patience, else what `send` has answered.
    package func publish(_ events: [Event], once key: String?) async throws -> [Position] {
        if reachability.isAway(longerThan: patience) { throw MartletError.logUnreachable() }
        let byteCount = events.reduce(0) { $0 + $1.byteCount }
        return try await withCheckedThrowingContinuation { continuation in
            let publish = PublishBacklog.Publish(
                events: events, key: key, deadline: .now + patience, byteCount: byteCount, continuation: continuation)
            let error: MartletError? = state.withLock { state in
                if state.isStopped { return .logNotOpen }
                return state.backlog.append(publish) ? nil : .logOverloaded
            }
            if let error { continuation.resume(throwing: error) } else { bell.ring() }
        }
    }

    // MARK: The thread

    private func run() {
        var number: UInt64 = 0
        var nextIdle = ContinuousClock.now + idleTime
        while true {
            if state.withLock({ $0.isStopped }) { break }
            let (group, expired) = state.withLock { $0.backlog.takeGroup(at: .now) }
            for publish in expired { publish.continuation.resume(throwing: MartletError.logUnreachable()) }
            if !group.isEmpty {
                number += 1
                send(group, as: RecordID(node: node, number: number))
            }
            if .now >= nextIdle {
                idle()
                nextIdle = .now + idleTime
            }
            if state.withLock({ $0.backlog.isEmpty && !$0.isStopped }) { bell.wait(atMost: nextIdle - .now) }
        }
        state.withLock { $0.hasEnded = true }
        refuseRest()
        ended.fire()
    }

    private func refuseRest() {
        let rest = state.withLock { $0.backlog.takeAll() }
        for publish in rest { publish.continuation.resume(throwing: MartletError.logNotOpen) }
    }

    private func send(_ publishes: [PublishBacklog.Publish], as id: RecordID) {
        let group = Group(id: id, publishes: publishes.map { ($0.events, $0.key) })
        let deadline = publishes.map(\.deadline).max() ?? .now
        var mayBeThere = false
        var delay = RetryDelay(delay)
        while true {
            do {
                let answers = try send(group)
                reachability.answered()
                for (publish, answer) in zip(publishes, answers) {
                    publish.continuation.resume(with: answer.mapError { $0 as any Error })
                }
                return
            } catch let error as LogUnreachable {
                reachability.failed(error)
                mayBeThere = mayBeThere || error.mayHaveAccepted
                let pause = delay.next()
                guard .now + pause < deadline, !state.withLock({ $0.isStopped }) else {
                    let error = MartletError.logUnreachable(mayHaveAccepted: mayBeThere)
                    for publish in publishes { publish.continuation.resume(throwing: error) }
                    return
                }
                sleep(pause)
            } catch {
                for publish in publishes { publish.continuation.resume(throwing: error) }
                return
            }
        }
    }

    /// Waits, but not once it is to stop. What is published meanwhile does not end it.
    private func sleep(_ pause: Duration) {
        let end = ContinuousClock.now + pause
        while .now < end, !state.withLock({ $0.isStopped }) { bell.wait(atMost: end - .now) }
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletSupport
import Synchronization

/// Publishes to the server of a shared log, on its own thread: publishes that arrive while a group is on its way form
/// the next group.
///
/// If the answer to a group is lost, the group is sent again under the same ``Group/ID`` while any of its publishers
/// waits, and never after that. So this node does not publish later what it has reported as failed.
///
/// All methods may be called from anywhere.
public final class GroupPublisher: Sendable {
    /// Publishes that are sent together.
    public struct Group: Sendable {
        /// Identifies a group. A group that is sent again keeps its id, so the server can accept it once.
        public struct ID: Hashable, Sendable {
            /// This instance of the log.
            public var node: String
            /// The number of the group on the node, from 1 on. Groups are sent one after the other.
            public var number: UInt64
        }

        public var id: ID
        public var publishes: [(events: [Event], key: String?)]
    }

    /// Sends a group and returns an answer for each of its publishes. Throws ``LogUnreachable`` if it may be sent
    /// again; all its publishers receive any other error.
    public typealias Send = @Sendable (Group) throws -> [Result<[Position], MartletError>]

    /// Bounds and times.
    public struct Configuration: Sendable {
        /// The most publishes that wait. Further ones fail with `overloaded`.
        public var queuedPublishes: Int
        /// The most bytes of events that wait.
        public var queuedBytes: Int
        /// The most events of a group. A publish is never split.
        public var groupEvents: Int
        /// The most bytes of events of a group.
        public var groupBytes: Int
        /// How long a publish waits while the server is away.
        public var patience: Duration
        /// The range of the wait before a group is sent again.
        public var retryDelay: ClosedRange<Duration>
        /// The time between two calls of `idle`.
        public var idleInterval: Duration

        public init(
            queuedPublishes: Int = 10_000, queuedBytes: Int = 32 * 1024 * 1024, groupEvents: Int = 512,
            groupBytes: Int = 1024 * 1024, patience: Duration = .seconds(2),
            retryDelay: ClosedRange<Duration> = .milliseconds(50)...Duration.seconds(2),
            idleInterval: Duration = .seconds(1)
        ) {
            self.queuedPublishes = queuedPublishes
            self.queuedBytes = queuedBytes
            self.groupEvents = groupEvents
            self.groupBytes = groupBytes
            self.patience = patience
            self.retryDelay = retryDelay
            self.idleInterval = idleInterval
        }
    }

    private struct State {
        var backlog: PublishBacklog
        var isStarted = false
        var isStopped = false
        var hasEnded = false
    }

    private let node: String
    private let configuration: Configuration
    private let reachability: Reachability
    private let send: Send
    private let idle: @Sendable () -> Void
    private let startThread: WorkThread.Starter
    private let state: Mutex<State>
    private let wakeUp = BinarySemaphore()
    private let ended = Signal()

    /// - Parameters:
    ///   - node: A name that no other node has, and no earlier life of this one.
    ///   - reachability: Shared with the other threads of the log. Nothing is sent once the server has been away for
    ///     longer than the patience, so another thread has to find it again.
    ///   - send: Called on the thread, one call after the other.
    ///   - idle: Called on the thread at its start and between two groups, for maintenance of the log.
    public convenience init(
        node: String, configuration: Configuration, reachability: Reachability, send: @escaping Send,
        idle: @escaping @Sendable () -> Void = {}
    ) {
        self.init(
            node: node, configuration: configuration, reachability: reachability, send: send, idle: idle,
            startThread: WorkThread.starter)
    }

    package init(
        node: String, configuration: Configuration, reachability: Reachability, send: @escaping Send,
        idle: @escaping @Sendable () -> Void, startThread: @escaping WorkThread.Starter
    ) {
        self.node = node
        self.configuration = configuration
        self.reachability = reachability
        self.send = send
        self.idle = idle
        self.startThread = startThread
        state = Mutex(
            State(
                backlog: PublishBacklog(
                    publishes: configuration.queuedPublishes, bytes: configuration.queuedBytes,
                    groupEvents: configuration.groupEvents, groupBytes: configuration.groupBytes)))
    }

    /// Starts the thread, unless the publisher was stopped before. Call it once.
    ///
    /// - Throws: An error if the system starts no more threads. Then every publish fails.
    public func start() throws {
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

    /// Refuses the publishes that wait, and returns once the group on its way was answered or has failed.
    public func stop() async {
        let runs = state.withLock { state in
            state.isStopped = true
            return state.isStarted
        }
        guard runs else { return }
        wakeUp.signal()
        // Also if this task is cancelled.
        await Task { try? await ended.wait { state.withLock { $0.hasEnded ? () : nil } } }.value
    }

    /// Publishes, and returns once the server has accepted the events.
    ///
    /// - Throws: ``MartletError``: `overloaded` if too much waits, `storageFailed` if the server is away for longer
    ///   than the patience, `notRunning` if the publisher is stopped, otherwise the answer of the server.
    public func publish(_ events: [Event], once key: String?) async throws -> [Position] {
        if reachability.isAway(longerThan: configuration.patience) { throw MartletError.logUnreachable() }
        let byteCount = events.reduce(0) { $0 + $1.byteCount }
        return try await withCheckedThrowingContinuation { continuation in
            let publish = PendingPublish(
                events, once: key, byteCount: byteCount, deadline: .now + configuration.patience
            ) { continuation.resume(with: $0) }
            let error: MartletError? = state.withLock { state in
                if state.isStopped { return .logNotOpen }
                guard state.backlog.hasRoom(for: byteCount) else { return .logOverloaded }
                state.backlog.reserve(byteCount)
                state.backlog.append(publish)
                return nil
            }
            if let error { continuation.resume(throwing: error) } else { wakeUp.signal() }
        }
    }

    // MARK: The thread

    private func run() {
        var number: UInt64 = 0
        var nextIdle = ContinuousClock.now
        while true {
            if state.withLock({ $0.isStopped }) { break }
            let (group, expired) = state.withLock { $0.backlog.takeGroup() }
            for publish in expired { publish.answer(.failure(MartletError.logUnreachable())) }
            if !group.isEmpty {
                number += 1
                send(group, as: Group.ID(node: node, number: number))
            }
            if .now >= nextIdle {
                idle()
                nextIdle = .now + configuration.idleInterval
            }
            if state.withLock({ $0.backlog.isEmpty && !$0.isStopped }) { wakeUp.wait(atMost: nextIdle - .now) }
        }
        state.withLock { $0.hasEnded = true }
        refuseRest()
        ended.fire()
    }

    private func refuseRest() {
        let rest = state.withLock { $0.backlog.takeAll() }
        for publish in rest { publish.answer(.failure(MartletError.logNotOpen)) }
    }

    private func send(_ publishes: [PendingPublish], as id: Group.ID) {
        let group = Group(id: id, publishes: publishes.map { ($0.events, $0.key) })
        let deadline = publishes.compactMap(\.deadline).max() ?? .now
        var mayBeThere = false
        var delay = RetryDelay(configuration.retryDelay)
        while true {
            do {
                let answers = try send(group)
                // A log may answer for a server that is away.
                if answers.contains(where: \.hasSucceeded) { reachability.answered() }
                for (publish, answer) in zip(publishes, answers) {
                    publish.answer(answer.mapError { $0 as any Error })
                }
                return
            } catch let error as LogUnreachable {
                reachability.failed(error)
                mayBeThere = mayBeThere || error.mayHaveAccepted
                let pause = delay.next()
                guard .now + pause < deadline, !state.withLock({ $0.isStopped }) else {
                    let error = MartletError.logUnreachable(mayHaveAccepted: mayBeThere)
                    for publish in publishes { publish.answer(.failure(error)) }
                    return
                }
                sleep(pause)
            } catch {
                for publish in publishes { publish.answer(.failure(error)) }
                return
            }
        }
    }

    /// Waits for the duration, or until the publisher is stopped. New publishes do not end the wait.
    private func sleep(_ pause: Duration) {
        let end = ContinuousClock.now + pause
        while .now < end, !state.withLock({ $0.isStopped }) { wakeUp.wait(atMost: end - .now) }
    }
}

extension Result {
    fileprivate var hasSucceeded: Bool { if case .success = self { true } else { false } }
}

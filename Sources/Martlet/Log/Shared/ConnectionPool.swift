// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Dispatch
package import MartletSupport
import Synchronization

/// Threads with one connection each, for calls to a server that block: reading history, for example.
///
/// A thread connects when it has its first call to make. A call that throws ``LogUnreachable`` costs the thread its
/// connection, and is made again on a new one while there is time.
///
/// All methods may be called from anywhere.
public final class ConnectionPool<Connection>: Sendable {
    /// Bounds and times.
    public struct Configuration: Sendable {
        /// How many connections there are, each with its own thread.
        public var connections: Int
        /// The most calls that wait for a connection. Further ones fail with `overloaded`.
        public var queuedCalls: Int
        /// How long a call is made again while the server is away. Zero: each call is made once.
        public var patience: Duration
        /// The range of the wait before a call is made again.
        public var retryDelay: ClosedRange<Duration>

        public init(
            connections: Int = 4, queuedCalls: Int = 20_000, patience: Duration = .seconds(2),
            retryDelay: ClosedRange<Duration> = .milliseconds(50)...Duration.seconds(2)
        ) {
            self.connections = connections
            self.queuedCalls = queuedCalls
            self.patience = patience
            self.retryDelay = retryDelay
        }
    }

    private enum Outcome {
        /// The caller has its answer.
        case answered
        /// The caller has its answer, and the connection is lost.
        case failed
        /// The connection is lost, and the call has to be made again.
        case again
    }

    private struct Call {
        let deadline: ContinuousClock.Instant
        let run: @Sendable (Result<Connection, any Error>) -> Outcome
    }

    private struct State {
        var calls: Deque<Call> = []
        /// The threads that have nothing to do. The last one is woken first: its connection may be where the next call
        /// goes on.
        var idle: [DispatchSemaphore] = []
        var threads = 0
        var isStopped = false
    }

    private let configuration: Configuration
    private let reachability: Reachability?
    private let connect: @Sendable () throws -> Connection
    private let startThread: WorkThread.Starter
    private let state = Mutex(State())
    /// Signalled once for each thread when the pool stops.
    private let stopped = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - reachability: Learns of failures to connect. Once the server has been away for longer than the patience,
    ///     calls fail at once.
    ///   - connect: Called on any of the threads. Throws ``LogUnreachable`` if it may be tried again.
    public convenience init(
        _ configuration: Configuration, reachability: Reachability?,
        connect: @escaping @Sendable () throws -> Connection
    ) {
        self.init(
            configuration, reachability: reachability, startThread: WorkThread.starter, connect: connect)
    }

    package init(
        _ configuration: Configuration, reachability: Reachability?, startThread: @escaping WorkThread.Starter,
        connect: @escaping @Sendable () throws -> Connection
    ) {
        self.configuration = configuration
        self.reachability = reachability
        self.startThread = startThread
        self.connect = connect
    }

    /// Starts the threads that do not run yet. They hold the pool until it is stopped.
    ///
    /// - Throws: An error if the system starts no more threads. Those that it has started run, so stop the pool then,
    ///   too.
    public func start() throws {
        try state.withLock { state in
            while !state.isStopped, state.threads < max(1, configuration.connections) {
                try startThread { self.work() }
                state.threads += 1
            }
        }
    }

    /// Ends the threads. Calls that wait throw `notRunning`; a call that blocks ends once its connection is closed.
    public func stop() {
        let (calls, idle, threads) = state.withLock { state in
            state.isStopped = true
            defer {
                state.calls = []
                state.idle = []
                state.threads = 0
            }
            return (state.calls, state.idle, state.threads)
        }
        for call in calls { _ = call.run(.failure(MartletError.logNotOpen)) }
        for thread in idle { thread.signal() }
        for _ in 0..<threads { stopped.signal() }
    }

    /// Runs a closure with a connection, on one of the threads.
    ///
    /// - Throws: ``LogUnreachable`` if the server is away for longer than the patience; ``MartletError``: `overloaded`
    ///   if too many calls wait, `notRunning` if the pool is stopped; otherwise the error of the closure.
    public func run<Value: Sendable>(
        _ body: @escaping @Sendable (Connection) throws -> Value
    ) async throws -> Value {
        if let reachability, reachability.isAway(longerThan: configuration.patience) {
            throw LogUnreachable("The server is away.")
        }
        let deadline = ContinuousClock.now + configuration.patience
        return try await withCheckedThrowingContinuation { continuation in
            let call = Call(deadline: deadline) { connection in
                do {
                    continuation.resume(returning: try body(connection.get()))
                    return .answered
                } catch is LogUnreachable where .now < deadline {
                    return .again
                } catch {
                    continuation.resume(throwing: error)
                    return error is LogUnreachable ? .failed : .answered
                }
            }
            let (error, thread): (MartletError?, DispatchSemaphore?) = state.withLock { state in
                if state.isStopped { return (.logNotOpen, nil) }
                guard state.calls.count < configuration.queuedCalls else { return (.logOverloaded, nil) }
                state.calls.append(call)
                return (nil, state.idle.popLast())
            }
            if let error { return continuation.resume(throwing: error) }
            thread?.signal()
        }
    }

    // MARK: The threads

    private func work() {
        var connection: Connection?
        var delay = RetryDelay(configuration.retryDelay)
        let wakeUp = DispatchSemaphore(value: 0)
        while true {
            let (call, isStopped): (Call?, Bool) = state.withLock { state in
                if state.isStopped { return (nil, true) }
                let call = state.calls.popFirst()
                if call == nil { state.idle.append(wakeUp) }
                return (call, false)
            }
            if isStopped { return }
            guard let call else {
                wakeUp.wait()
                continue
            }
            while !make(call, on: &connection) {
                let pause = min(delay.next(), call.deadline - .now)
                _ = stopped.wait(timeout: .now() + pause)
            }
            delay.succeeded()
        }
    }

    /// Returns whether the caller has its answer.
    private func make(_ call: Call, on connection: inout Connection?) -> Bool {
        let outcome: Outcome
        do {
            let connected = try connection ?? connect()
            connection = connected
            outcome = call.run(.success(connected))
        } catch {
            reachability?.failed(error)
            outcome = call.run(.failure(error))
        }
        if case .answered = outcome { return true }
        connection = nil
        if case .failed = outcome { return true }
        guard state.withLock({ $0.isStopped }) else { return false }
        _ = call.run(.failure(MartletError.logNotOpen))
        return true
    }
}

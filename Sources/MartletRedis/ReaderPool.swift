// SPDX-License-Identifier: Apache-2.0

#if Redis
import DequeModule
import Dispatch
import Martlet
import Synchronization

/// Threads with a connection each that read what somebody waits for.
final class ReaderPool: Sendable {
    private struct Job {
        let deadline: ContinuousClock.Instant
        /// Returns whether it is done; else it is tried again with another connection.
        let run: @Sendable (Result<Stream, any Error>) -> Bool
    }

    private struct State {
        var jobs: Deque<Job> = []
        var isStopped = false
    }

    private let configuration: RedisLogConfiguration
    private let sockets: OpenSockets
    private let reachability: Reachability
    private let startThread: WorkThread.Starter
    private let state = Mutex(State())
    /// Counts the jobs that wait.
    private let semaphore = DispatchSemaphore(value: 0)
    /// Rung by nobody.
    private let pause = Bell()

    init(
        _ configuration: RedisLogConfiguration, sockets: OpenSockets, reachability: Reachability,
        startThread: @escaping WorkThread.Starter
    ) {
        self.configuration = configuration
        self.sockets = sockets
        self.reachability = reachability
        self.startThread = startThread
    }

    private var threads: Int { max(1, configuration.readers) }

    /// - Throws: ``ThreadError`` where there can be no threads. It is to be stopped then, too.
    func start() throws(ThreadError) {
        for _ in 0..<threads { try startThread { self.work() } }
    }

    func stop() {
        let jobs = state.withLock { state in
            state.isStopped = true
            defer { state.jobs = [] }
            return state.jobs
        }
        for job in jobs { _ = job.run(.failure(MartletError.logNotOpen)) }
        for _ in 0..<threads { semaphore.signal() }
    }

    /// Runs a closure with a connection, on one of the threads; again with another where the connection is lost.
    ///
    /// - Throws: ``MartletError``: `storageFailed` where the server is away for too long, `overloaded` where too many wait;
    ///   what the closure throws.
    func run<Value: Sendable>(_ body: @escaping @Sendable (Stream) throws -> Value) async throws -> Value {
        if reachability.isAway(longerThan: configuration.patience) { throw MartletError.logUnreachable() }
        let deadline = ContinuousClock.now + configuration.patience
        return try await withCheckedThrowingContinuation { continuation in
            let job = Job(deadline: deadline) { stream in
                do {
                    let value = try body(stream.get())
                    continuation.resume(returning: value)
                } catch is LogUnreachable where .now < deadline {
                    return false
                } catch let error as RedisError {
                    continuation.resume(
                        throwing: MartletError(.storageFailed, "The log cannot be read: \(error.description)"))
                } catch is LogUnreachable {
                    continuation.resume(throwing: MartletError.logUnreachable())
                } catch {
                    continuation.resume(throwing: error)
                }
                return true
            }
            let error: MartletError? = state.withLock { state in
                if state.isStopped { return .logNotOpen }
                guard state.jobs.count < configuration.queuedReads else { return .logOverloaded }
                state.jobs.append(job)
                return nil
            }
            if let error { return continuation.resume(throwing: error) }
            semaphore.signal()
        }
    }

    // MARK: The threads

    private func work() {
        var stream: Stream?
        var delay = RetryDelay(configuration.retryDelay)
        while true {
            semaphore.wait()
            let (job, isStopped) = state.withLock { ($0.jobs.popFirst(), $0.isStopped) }
            if isStopped { return }
            guard let job else { continue }
            while !work(job, on: &stream) { pause.wait(atMost: min(delay.next(), max(.zero, job.deadline - .now))) }
            delay.succeeded()
        }
    }

    /// Returns whether the job is done.
    private func work(_ job: Job, on stream: inout Stream?) -> Bool {
        do {
            let connected = try stream ?? Stream(configuration, sockets: sockets, scripts: [])
            stream = connected
            if job.run(.success(connected)) { return true }
        } catch {
            reachability.failed(error)
            if job.run(.failure(error)) { return true }
        }
        stream = nil
        return state.withLock { $0.isStopped } ? job.run(.failure(MartletError.logNotOpen)) : false
    }
}
#endif

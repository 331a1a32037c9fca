// SPDX-License-Identifier: Apache-2.0

#if Redis
import DequeModule
import Dispatch
import Martlet
import Synchronization

/// The thread of a ``RedisBoard``, which has its connection: does one thing after the other, each once. It starts when there
/// is something to do.
final class BoardWorker: Sendable {
    private typealias Job = @Sendable (Result<RedisConnection, any Error>) -> Bool

    private struct State {
        /// Each returns whether the connection is still good.
        var jobs: Deque<Job> = []
        var isRunning = false
        var isStopped = false
    }

    /// The most calls that wait for their turn. A node makes one after the other.
    private static let mostJobs = 100

    private let configuration: RedisLogConfiguration
    private let sockets = OpenSockets()
    private let startThread: WorkThread.Starter
    private let state = Mutex(State())
    /// Counts the jobs that wait.
    private let semaphore = DispatchSemaphore(value: 0)

    init(
        _ configuration: RedisLogConfiguration,
        startThread: @escaping WorkThread.Starter = { body throws(ThreadError) in try WorkThread.start(body) }
    ) {
        self.configuration = configuration
        self.startThread = startThread
    }

    /// Ends the thread. What waits throws.
    func stop() {
        state.withLock { $0.isStopped = true }
        sockets.close()
        semaphore.signal()
    }

    /// Runs a closure with a connection, on the thread.
    ///
    /// - Throws: ``MartletError`` of the code `storageFailed` where the server is away or does not do it, `overloaded`
    ///   where too much waits or the system starts no thread.
    func run<Value: Sendable>(_ body: @escaping @Sendable (RedisConnection) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let job: Job = { connection in
                do {
                    continuation.resume(returning: try body(connection.get()))
                    return true
                } catch {
                    continuation.resume(throwing: MartletError(.storageFailed, "The Redis server: \(error)"))
                    return false
                }
            }
            let error: MartletError? = state.withLock { state in
                if state.isStopped { return .logNotOpen }
                guard state.jobs.count < Self.mostJobs else { return .logOverloaded }
                do {
                    if !state.isRunning { try startThread { self.work() } }
                } catch {
                    return MartletError(.overloaded, "\(error)")
                }
                state.isRunning = true
                state.jobs.append(job)
                return nil
            }
            if let error { return continuation.resume(throwing: error) }
            semaphore.signal()
        }
    }

    private func work() {
        var connection: RedisConnection?
        while true {
            semaphore.wait()
            let (job, isStopped) = state.withLock { ($0.jobs.popFirst(), $0.isStopped) }
            if let job {
                let result = Result { try connection ?? RedisConnection(to: configuration, sockets: sockets) }
                connection = job(result) ? try? result.get() : nil
            } else if isStopped {
                return
            }
        }
    }
}
#endif

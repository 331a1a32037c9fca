// SPDX-License-Identifier: Apache-2.0

public import Martlet
package import NIOCore
import NIOPosix
public import ServiceLifecycle

/// Ends the streams of a hub on a graceful shutdown, before the server stops.
///
/// A service group stops its services in reverse order and waits for each. So add this service behind the application:
/// the hub then tells its clients when to come back, and ends their streams over the grace period, while the server still
/// answers.
public struct DrainService: Service {
    private let hub: Hub

    /// - Parameter hub: The hub whose streams end.
    public init(_ hub: Hub) { self.hub = hub }

    /// Waits for the graceful shutdown, and then drains the hub.
    public func run() async throws {
        try? await gracefulShutdown()
        try await hub.drain()
    }
}

/// Runs the tasks of a server on its event loops: a request is answered on the thread of its connection, so no thread has
/// to wake another for each read and write.
///
/// A task that blocks holds up the other connections of its event loop.
package struct EventLoopService<Base: Service>: Service {
    private let base: Base
    private let eventLoops: any EventLoopGroup

    package init(_ base: Base, on eventLoops: any EventLoopGroup) {
        self.base = base
        self.eventLoops = eventLoops
    }

    package func run() async throws {
        try await withTaskExecutorPreference(EventLoopExecutor(eventLoops)) { try await base.run() }
    }
}

/// Runs a task on the event loop that wakes it, or otherwise on any event loop of the group.
final class EventLoopExecutor: TaskExecutor {
    private let eventLoops: any EventLoopGroup

    init(_ eventLoops: any EventLoopGroup) { self.eventLoops = eventLoops }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let eventLoop = MultiThreadedEventLoopGroup.currentEventLoop ?? eventLoops.any()
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Work whose time is proportional to the input of a client. On an event loop it would hold up the other connections of the
/// loop; see ``EventLoopService``.
package enum CPUBoundWork {
    /// The most bytes that are parsed on the event loop. They take about a millisecond.
    package static let briefBytes = 8 * 1024

    /// Does the work on the executor of the caller if it is brief, or otherwise on the global executor.
    ///
    /// - Parameter bytes: The size of the input.
    package static func run<Value: Sendable>(
        through bytes: Int, _ work: @Sendable () async throws -> Value
    ) async throws -> Value {
        guard bytes > briefBytes else { return try await work() }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) { try await work() }
    }

    /// Divides work into slices: counts bytes, and says after which to yield the thread.
    struct Pace {
        /// The size of a slice.
        static let sliceBytes = 16 * 1024

        private var done = 0

        /// Whether the slice ends with so many bytes. Not asynchronous itself: even a call that does not wait costs more than
        /// to parse a short line.
        mutating func isOver(after bytes: Int) -> Bool {
            done += bytes
            guard done >= Self.sliceBytes else { return false }
            done = 0
            return true
        }
    }
}

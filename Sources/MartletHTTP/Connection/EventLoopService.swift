// SPDX-License-Identifier: Apache-2.0

package import NIOCore
import NIOPosix
package import ServiceLifecycle

/// Runs a server's tasks on its event loops: a request is answered on the thread of its connection, which would have to
/// wake another, and be woken by it, for whatever is read and written.
///
/// Whatever blocks in such a task holds up the other connections of its event loop.
package struct EventLoopService<Base: Service>: Service {
    private let base: Base
    private let eventLoops: any EventLoopGroup

    package init(_ base: Base, on eventLoops: any EventLoopGroup) {
        self.base = base
        self.eventLoops = eventLoops
    }

    package func run() async throws {
        try await withTaskExecutorPreference(Executor(eventLoops)) { try await base.run() }
    }
}

/// Runs a task on the event loop that wakes it, or on any of the group where none does.
private final class Executor: TaskExecutor {
    private let eventLoops: any EventLoopGroup

    init(_ eventLoops: any EventLoopGroup) { self.eventLoops = eventLoops }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let eventLoop = MultiThreadedEventLoopGroup.currentEventLoop ?? eventLoops.any()
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

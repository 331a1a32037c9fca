// SPDX-License-Identifier: Apache-2.0

package import Dispatch
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A thread for calls that block. Such calls must not run on an event loop or in the cooperative pool.
///
/// The thread blocks SIGPIPE, so writing to a socket that the peer has closed does not end the process.
package final class WorkThread: Sendable {
    /// Starts a thread that runs a closure.
    package typealias Starter = @Sendable (_ body: @escaping @Sendable () -> Void) throws(ThreadError) -> Void

    /// ``start(stackBytes:_:)``; tests pass other starters, which fail.
    package static let starter: Starter = { body throws(ThreadError) in try start(body) }

    private let body: @Sendable () -> Void

    private init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    /// Starts a thread that runs the closure and ends.
    ///
    /// - Parameter stackBytes: The size of its stack; `nil` for the default of the system.
    /// - Throws: ``ThreadError`` if the system starts no thread. Then the closure is released and never runs.
    package static func start(
        stackBytes: Int? = nil, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadError) {
        try WorkThread(body).start(stackBytes)
    }

    private func start(_ stackBytes: Int?) throws(ThreadError) {
        // The system initializes it, and it is valid until it is destroyed.
        let attributes = UnsafeMutablePointer<pthread_attr_t>.allocate(capacity: 1)
        pthread_attr_init(attributes)
        defer {
            pthread_attr_destroy(attributes)
            attributes.deallocate()
        }
        pthread_attr_setdetachstate(attributes, CInt(PTHREAD_CREATE_DETACHED))
        if let stackBytes { pthread_attr_setstacksize(attributes, stackBytes) }
        // The thread holds this until it ends.
        let work = Unmanaged.passRetained(self)
        #if canImport(Darwin)
        var thread: pthread_t?
        let code = pthread_create(
            &thread, attributes,
            { argument in
                Unmanaged<WorkThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, work.toOpaque())
        #else
        var thread = pthread_t()
        let code = pthread_create(
            &thread, attributes,
            { argument in
                argument.map { Unmanaged<WorkThread>.fromOpaque($0).takeRetainedValue().run() }
                return nil
            }, work.toOpaque())
        #endif
        guard code != 0 else { return }
        // No thread will release it.
        work.release()
        throw ThreadError(code)
    }

    private func run() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        body()
    }
}

/// The system starts no more threads, because there are too many or there is no memory for one.
package struct ThreadError: Error, CustomStringConvertible {
    package let description: String

    /// - Parameter code: The error number.
    package init(_ code: CInt) {
        description =
            "No thread can be started: \(String(cString: strerror(code))). Raise the limit of processes (ulimit -u, "
            + "pids.max), or free memory."
    }
}

/// A semaphore with the values 0 and 1, for one thread that waits: signals that come before it waits count as one.
package final class BinarySemaphore: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private let isSignalled = Atomic(false)

    package init() {}

    package func signal() {
        if !isSignalled.exchange(true, ordering: .acquiringAndReleasing) { semaphore.signal() }
    }

    /// Blocks the thread until the next signal, but no longer than `time`.
    package func wait(atMost time: Duration) {
        if semaphore.wait(timeout: .now() + time) == .success { isSignalled.store(false, ordering: .releasing) }
    }
}

extension DispatchTime {
    /// The time after a duration. A negative duration counts as zero, a longer one than 2^32 seconds as that.
    package static func + (time: DispatchTime, duration: Duration) -> DispatchTime {
        time + DispatchTimeInterval.nanoseconds(Int(min(max(.zero, duration), .seconds(1 << 32)) / .nanoseconds(1)))
    }
}

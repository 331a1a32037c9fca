// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A thread of its own for calls that block, which must run neither on an event loop nor in the cooperative pool.
///
/// Writing to a socket that the other side has closed does not end the process there: the signal is blocked.
package final class WorkThread: Sendable {
    /// Starts a thread that runs a closure.
    package typealias Starter = @Sendable (_ body: @escaping @Sendable () -> Void) throws(ThreadError) -> Void

    private let body: @Sendable () -> Void

    private init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    /// Starts a thread that runs the closure and ends.
    ///
    /// - Parameter stackBytes: The size of its stack; `nil`: as the system has it.
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
            "No thread can be started: \(String(cString: strerror(code))). Raise the limit of processes (ulimit -u, pids.max), "
            + "or free memory."
    }
}

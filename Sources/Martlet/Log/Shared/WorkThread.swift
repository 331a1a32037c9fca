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
    private let body: @Sendable () -> Void

    private init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    /// Starts a thread that runs the closure and ends.
    package static func start(_ body: @escaping @Sendable () -> Void) {
        WorkThread(body).start()
    }

    private func start() {
        // The thread holds this until it ends.
        let work = Unmanaged.passRetained(self).toOpaque()
        #if canImport(Darwin)
        var thread: pthread_t?
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<WorkThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, work)
        if let thread { pthread_detach(thread) }
        #else
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { argument in
                argument.map { Unmanaged<WorkThread>.fromOpaque($0).takeRetainedValue().run() }
                return nil
            }, work)
        pthread_detach(thread)
        #endif
    }

    private func run() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        body()
    }
}

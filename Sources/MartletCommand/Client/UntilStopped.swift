// SPDX-License-Identifier: Apache-2.0

import UnixSignals

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Runs `body` until it ends, SIGINT or SIGTERM arrives, or the reader of standard output closes it. The last two cancel
/// `body` and are no error.
///
/// A second signal ends the process at once, with 128 plus the signal's number as the exit code.
func untilStopped(_ body: @escaping @Sendable () async throws -> Void) async throws {
    StandardStream.ignoreBrokenPipes()
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
    let (stops, stop) = AsyncStream.makeStream(of: Void.self)
    StandardStream.output.onceUnread { stop.yield() }
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            var isStopping = false
            for await signal in signals {
                if isStopping { _exit(128 + signal.rawValue) }
                isStopping = true
                stop.yield()
            }
        }
        defer { tasks.cancelAll() }
        try await first(of: body) { for await _ in stops { return } }
    }
}

/// Runs both until one of them ends or throws, and cancels the other.
func first(
    of body: @escaping @Sendable () async throws -> Void, or other: @escaping @Sendable () async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await body() }
        tasks.addTask { try await other() }
        defer { tasks.cancelAll() }
        try await tasks.next()
    }
}

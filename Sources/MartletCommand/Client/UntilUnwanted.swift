// SPDX-License-Identifier: Apache-2.0

import UnixSignals

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Runs something until it ends or nobody wants more of it: SIGINT or SIGTERM has come, or nobody reads standard output any
/// more. Then it is cancelled, and it is no error.
///
/// A second signal ends the process at once, with 128 plus the signal's number as the exit code.
func untilUnwanted(_ body: @escaping @Sendable () async throws -> Void) async throws {
    StandardStream.ignoreBrokenPipes()
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
    let (reasons, reason) = AsyncStream.makeStream(of: Void.self)
    StandardStream.output.onceUnread { reason.yield() }
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            var isStopping = false
            for await signal in signals {
                if isStopping { _exit(128 + signal.rawValue) }
                isStopping = true
                reason.yield()
            }
        }
        defer { tasks.cancelAll() }
        try await first(of: body) { for await _ in reasons { return } }
    }
}

/// Runs both until one has ended, and cancels the other, whatever becomes of that.
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

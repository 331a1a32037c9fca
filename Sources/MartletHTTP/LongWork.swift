// SPDX-License-Identifier: Apache-2.0

/// Work that takes time in proportion to what a client sent. On an event loop it would hold up all other connections of
/// the loop; see ``EventLoopService``.
package enum LongWork {
    /// The most bytes that are parsed on the event loop, in about a millisecond.
    package static let briefBytes = 8 * 1024

    /// Does the work on the caller's executor if it is brief, else on the global executor.
    ///
    /// - Parameter bytes: The size of what is parsed.
    package static func run<Value: Sendable>(
        through bytes: Int, _ work: @Sendable () async throws -> Value
    ) async throws -> Value {
        guard bytes > briefBytes else { return try await work() }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) { try await work() }
    }

    /// Divides work into slices: counts bytes, and yields the thread after each slice.
    struct Pace {
        /// The size of a slice.
        static let sliceBytes = 16 * 1024

        private var done = 0

        mutating func take(_ bytes: Int) async {
            done += bytes
            guard done >= Self.sliceBytes else { return }
            done = 0
            await Task.yield()
        }
    }
}

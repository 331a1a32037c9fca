// SPDX-License-Identifier: Apache-2.0

package import Martlet
import NIOPosix
import Synchronization

/// A log that leaves to another what it does not do itself.
package protocol WrappingLog: Log {
    var log: any Log { get }
}

extension WrappingLog {
    package func open() async throws -> Position { try await log.open() }
    package func close() async { await log.close() }

    package func append(_ events: [Event], once key: String?) async throws -> [Position] {
        try await log.append(events, once: key)
    }

    package func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        try await log.read(selection, after: after, through: through, limit: limit)
    }

    package func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        try await log.tail(after: after, limit: limit)
    }

    package func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        try await log.resolve(id, for: selection)
    }

    package func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        try await log.resolve(since: age, for: selection)
    }

    package func covers(_ a: Position, _ b: Position) -> Bool { log.covers(a, b) }
    package func present(through end: Position) async throws -> Present { try await log.present(through: end) }
}

/// A log in memory that refuses events on demand, and counts its reads.
package final class ScriptedLog: WrappingLog {
    private struct Script {
        /// The number of appends that are still to be refused.
        var refusals = 0
        var refusedEvents: [Event] = []
        var reads = 0
        var appendsOnEventLoop: [Bool] = []
    }

    package let log: any Log = MemoryLog()
    private let script = Mutex(Script())
    private let refused = Signal()

    package init() {}

    package func refuse(_ count: Int) { script.withLock { $0.refusals = count } }

    package var reads: Int { script.withLock { $0.reads } }

    /// For each append, whether it came from an event loop.
    package var appendsOnEventLoop: [Bool] { script.withLock { $0.appendsOnEventLoop } }

    package func waitForRefusals(_ count: Int) async throws {
        try await refused.wait { script.withLock { $0.refusedEvents.count >= count } ? () : nil }
    }

    package func append(_ events: [Event], once key: String?) async throws -> [Position] {
        let isRefused = script.withLock { script in
            script.appendsOnEventLoop.append(MultiThreadedEventLoopGroup.currentEventLoop != nil)
            guard script.refusals > 0 else { return false }
            script.refusals -= 1
            script.refusedEvents += events
            return true
        }
        guard !isRefused else {
            refused.fire()
            throw MartletError(.overloaded, "Not now.")
        }
        return try await log.append(events, once: key)
    }

    package func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        script.withLock { $0.reads += 1 }
        return try await log.read(selection, after: after, through: through, limit: limit)
    }
}

/// A log that opens empty, and fails every call after that.
package struct FailingLog: Log {
    package struct Unreachable: Error {}

    private let error: any Error

    /// - Parameter error: The error of every call.
    package init(throwing error: any Error = Unreachable()) { self.error = error }

    package func open() async throws -> Position { .earliest }
    package func present(through end: Position) async throws -> Present { Present() }
    package func append(_ events: [Event], once key: String?) async throws -> [Position] { throw error }
    package func resolve(_ id: String, for selection: Selection) async throws -> Resolution { throw error }
    package func resolve(since age: Duration, for selection: Selection) async throws -> Resolution { throw error }
    package func covers(_ a: Position, _ b: Position) -> Bool { true }

    package func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        throw error
    }

    package func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        try await Task.sleep(for: .seconds(3600))
        throw error
    }
}

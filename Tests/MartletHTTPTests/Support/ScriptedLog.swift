// SPDX-License-Identifier: Apache-2.0

import Martlet
import NIOPosix
import Synchronization

/// A log in memory that refuses events when it is told to, and counts how often it is read.
final class ScriptedLog: Log {
    private struct Script {
        /// How many appends are refused from now on.
        var refusals = 0
        var refusedEvents: [Event] = []
        var reads = 0
        var appendsOnEventLoop: [Bool] = []
    }

    private let log = MemoryLog()
    private let script = Mutex(Script())
    private let refused = Signal()

    func refuse(_ count: Int) { script.withLock { $0.refusals = count } }

    var reads: Int { script.withLock { $0.reads } }

    /// Of each append, whether it was made on an event loop.
    var appendsOnEventLoop: [Bool] { script.withLock { $0.appendsOnEventLoop } }

    func waitForRefusals(_ count: Int) async throws {
        try await refused.wait { script.withLock { $0.refusedEvents.count >= count } ? () : nil }
    }

    func open() async throws -> Position { try await log.open() }

    func append(_ events: [Event], once key: String?) async throws -> [Position] {
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

    func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        script.withLock { $0.reads += 1 }
        return try await log.read(selection, after: after, through: through, limit: limit)
    }

    func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        try await log.tail(after: after, limit: limit)
    }

    func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        try await log.resolve(id, for: selection)
    }

    func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        try await log.resolve(since: age, for: selection)
    }

    func covers(_ a: Position, _ b: Position) -> Bool { log.covers(a, b) }
}

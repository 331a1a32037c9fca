// SPDX-License-Identifier: Apache-2.0

import Martlet
import Synchronization

/// A clock that stands still until a test moves it. Any task may use it.
///
/// ``advance(by:)`` resumes the tasks whose deadline has passed, in the order of their deadlines. It does not wait for
/// them to run: a task that sleeps in a loop is woken once for each call, no matter how far the clock moves.
public final class ManualClock: Clock, Sendable {
    /// A time of the clock.
    public struct Instant: InstantProtocol {
        /// The time since the clock was created.
        public var offset: Duration

        public init(offset: Duration = .zero) { self.offset = offset }

        public func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        public func duration(to other: Instant) -> Duration { other.offset - offset }
        public static func < (a: Instant, b: Instant) -> Bool { a.offset < b.offset }
    }

    private struct Sleeper {
        var id: UInt64
        var deadline: Instant
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now = Instant()
        var nextID: UInt64 = 0
        /// In the order of deadlines; of equal deadlines, the earlier sleeper first.
        var sleepers: [Sleeper] = []
    }

    private let state = Mutex(State())
    private let changed = Signal()

    public init() {}

    public var now: Instant { state.withLock { $0.now } }
    public var minimumResolution: Duration { .nanoseconds(1) }

    /// The number of tasks that sleep.
    public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    /// Moves the clock forward.
    ///
    /// - Precondition: The duration is not negative.
    public func advance(by duration: Duration) {
        precondition(duration >= .zero, "A clock cannot move backward.")
        let due = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let due = state.sleepers.prefix { $0.deadline <= state.now }
            state.sleepers.removeFirst(due.count)
            return due
        }
        for sleeper in due { sleeper.continuation.resume() }
        changed.fire()
    }

    /// Returns when the clock has reached the deadline, which may be at once.
    ///
    /// - Throws: `CancellationError` if the task is cancelled.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let sleeps = state.withLock { state in
                    // A task is marked as cancelled before its handler runs, so one of the two sees the other.
                    guard deadline > state.now, !Task.isCancelled else { return false }
                    let index = state.sleepers.firstIndex { $0.deadline > deadline } ?? state.sleepers.endIndex
                    state.sleepers.insert(Sleeper(id: id, deadline: deadline, continuation: continuation), at: index)
                    return true
                }
                if sleeps { changed.fire() } else { continuation.resume() }
            }
        } onCancel: {
            cancel(id)
        }
        try Task.checkCancellation()
    }

    private func cancel(_ id: UInt64) {
        let sleeper = state.withLock { state in
            state.sleepers.firstIndex { $0.id == id }.map { state.sleepers.remove(at: $0) }
        }
        sleeper?.continuation.resume()
        changed.fire()
    }

    /// Returns when at least this many tasks sleep, so that advancing the clock wakes them.
    ///
    /// - Throws: `CancellationError` if the task is cancelled.
    public func waitForSleepers(_ count: Int = 1) async throws {
        while true {
            let seen = changed.version
            if sleeperCount >= count { return }
            try await changed.wait(past: seen)
        }
    }
}

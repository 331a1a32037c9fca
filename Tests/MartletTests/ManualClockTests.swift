// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import Testing

@Suite("The manual clock", .timeLimit(.minutes(10)))
struct ManualClockTests {
    private let clock = ManualClock()

    @Test("It stands still until it is moved")
    func standsStill() {
        let start = clock.now
        #expect(clock.now == start)
        clock.advance(by: .seconds(3))
        #expect(start.duration(to: clock.now) == .seconds(3))
        #expect(clock.now == start.advanced(by: .seconds(3)))
        #expect(start < clock.now)
    }

    @Test("A task that sleeps until now or earlier does not sleep")
    func deadlineHasPassed() async throws {
        clock.advance(by: .seconds(1))
        try await clock.sleep(until: clock.now)
        try await clock.sleep(for: .zero)
        try await clock.sleep(until: ManualClock.Instant())
        #expect(clock.sleeperCount == 0)
    }

    @Test("A sleeper is resumed when its deadline is reached, and not a moment earlier")
    func deadline() async throws {
        async let slept: Void = clock.sleep(for: .seconds(1))
        try await clock.waitForSleepers()
        clock.advance(by: .seconds(1) - .nanoseconds(1))
        #expect(clock.sleeperCount == 1)
        clock.advance(by: .nanoseconds(1))
        #expect(clock.sleeperCount == 0)
        try await slept
    }

    @Test("Only those are resumed whose time has come, the earliest first")
    func order() async throws {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for seconds in [3, 1, 4, 2] {
                group.addTask { [clock] in
                    try await clock.sleep(for: .seconds(seconds))
                    return seconds
                }
            }
            try await clock.waitForSleepers(4)
            for seconds in 1...4 {
                clock.advance(by: .seconds(1))
                #expect(try await group.next() == seconds)
                #expect(clock.sleeperCount == 4 - seconds)
            }
        }
    }

    @Test("A cancelled sleeper ends with CancellationError and leaves the others asleep")
    func cancellation() async throws {
        async let slept: Void = clock.sleep(for: .seconds(2))
        try await clock.waitForSleepers(1)
        let cancelled = Task { [clock] in try await clock.sleep(for: .seconds(1)) }
        try await clock.waitForSleepers(2)
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        #expect(clock.sleeperCount == 1)
        clock.advance(by: .seconds(2))
        try await slept
    }

    @Test("A task that is cancelled before it sleeps does not sleep")
    func cancelledBefore() async {
        let task = Task { [clock] in
            withUnsafeCurrentTask { $0?.cancel() }
            try await clock.sleep(for: .seconds(1))
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(clock.sleeperCount == 0)
    }

    @Test("Waiting for sleepers can be cancelled")
    func cancelledWaiting() async {
        let task = Task { [clock] in
            withUnsafeCurrentTask { $0?.cancel() }
            try await clock.waitForSleepers()
        }
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}

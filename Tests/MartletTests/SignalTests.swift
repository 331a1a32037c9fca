// SPDX-License-Identifier: Apache-2.0

import Martlet
import Testing

@Suite("Signals", .timeLimit(.minutes(10)))
struct SignalTests {
    private let signal = Signal()

    @Test("A task that has seen an older version does not wait")
    func seen() async throws {
        let seen = signal.version
        signal.fire()
        #expect(signal.version != seen)
        try await signal.wait(past: seen)
    }

    @Test("All tasks that wait continue when it fires")
    func fire() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let seen = signal.version
            for yields in 0..<20 {
                group.addTask { [signal] in
                    for _ in 0..<yields { await Task.yield() }
                    try await signal.wait(past: seen)
                }
            }
            await Task.yield()
            signal.fire()
            try await group.waitForAll()
        }
    }

    @Test("A cancelled task throws CancellationError, whenever it was cancelled")
    func cancellation() async {
        let seen = signal.version
        for yields in 0..<20 {
            let task = Task { [signal] in try await signal.wait(past: seen) }
            for _ in 0..<yields { await Task.yield() }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        #expect(signal.version == seen)
    }
}

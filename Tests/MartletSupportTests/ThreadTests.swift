// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import Testing

@Suite("Threads for blocking calls", .timeLimit(.minutes(10)))
struct ThreadTests {
    private final class Token: Sendable {}

    @Test("A thread runs its closure")
    func runs() async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            do {
                try WorkThread.start { continuation.resume() }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    @Test("A thread that cannot start throws and releases its closure")
    func unavailable() {
        weak var kept: Token?
        do {
            let token = Token()
            kept = token
            // No address space has room for such a stack.
            let error = #expect(throws: ThreadError.self) {
                try WorkThread.start(stackBytes: Int.max / 2) { withExtendedLifetime(token) {} }
            }
            #expect(error?.description.contains("ulimit -u") == true)
        }
        #expect(kept == nil)
    }

    @Test("Signals that come before a thread waits count as one")
    func semaphore() {
        let semaphore = BinarySemaphore()
        semaphore.signal()
        semaphore.signal()
        semaphore.wait(atMost: .seconds(60))
        let start = ContinuousClock.now
        semaphore.wait(atMost: .milliseconds(1))
        #expect(.now - start >= .milliseconds(1))
    }
}

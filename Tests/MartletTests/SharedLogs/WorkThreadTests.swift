// SPDX-License-Identifier: Apache-2.0

import Martlet
import Testing

@Suite("Threads for blocking calls", .timeLimit(.minutes(1)))
struct WorkThreadTests {
    private final class Token: Sendable {}

    @Test("A thread runs its closure")
    func runs() async throws {
        let ended = Signal()
        let seen = ended.version
        try WorkThread.start { ended.fire() }
        try await ended.wait(past: seen)
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
}

// SPDX-License-Identifier: Apache-2.0

import MartletClient
import Synchronization
import Testing

@testable import MartletCommand

@Suite(.timeLimit(.minutes(3))) struct ConnectionNotesTests {
    private final class Notes: Sendable {
        let lines = Mutex<[String]>([])
        func note(_ line: String) { lines.withLock { $0.append(line) } }
    }

    @Test func `the user is told of a connection, and why there is none`() {
        let shown = Notes()
        let notes = ConnectionNotes { shown.note($0) }
        notes.changed(to: .connecting)
        notes.changed(to: .open)
        notes.changed(to: .waiting(.milliseconds(1250), .ended))
        notes.changed(to: .connecting)
        notes.changed(to: .closed)
        #expect(shown.lines.withLock { $0 } == ["connected", "connecting again in 1250ms: The stream has ended."])
        #expect(notes.reason == "The stream has ended.")
    }

    @Test func `there is no connection before the first, nor after the last`() async throws {
        let notes = ConnectionNotes { _ in }
        try await notes.untilLost(for: .milliseconds(1))
        notes.changed(to: .open)
        notes.changed(to: .waiting(.seconds(9), .timedOut))
        try await notes.untilLost(for: .milliseconds(1))
    }

    @Test func `as long as there is a connection nobody loses patience`() async throws {
        let notes = ConnectionNotes { _ in }
        notes.changed(to: .open)
        try await first(
            of: {
                try await notes.untilLost(for: .milliseconds(1))
                Issue.record("The connection is there.")
            },
            or: { for _ in 0..<1000 { await Task.yield() } })
    }
}

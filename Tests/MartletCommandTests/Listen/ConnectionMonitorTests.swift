// SPDX-License-Identifier: Apache-2.0

import MartletClient
import Synchronization
import Testing

@testable import MartletCommand

@Suite(.timeLimit(.minutes(10))) struct ConnectionMonitorTests {
    private final class Notes: Sendable {
        let lines = Mutex<[String]>([])
        func note(_ line: String) { lines.withLock { $0.append(line) } }
    }

    @Test("The user sees each connection, and the reason for having none")
    func notes() {
        let shown = Notes()
        let monitor = ConnectionMonitor { shown.note($0) }
        monitor.changed(to: .connecting)
        monitor.changed(to: .open)
        monitor.changed(to: .waiting(.milliseconds(1250), .ended))
        monitor.changed(to: .connecting)
        monitor.changed(to: .closed)
        #expect(shown.lines.withLock { $0 } == ["connected", "connecting again in 1250ms: The stream has ended."])
        #expect(monitor.reason == "The stream has ended.")
    }

    @Test("There is no connection before the first and after the last")
    func noConnection() async throws {
        let monitor = ConnectionMonitor { _ in }
        try await monitor.untilLost(for: .milliseconds(1))
        monitor.changed(to: .open)
        monitor.changed(to: .waiting(.seconds(9), .timedOut))
        try await monitor.untilLost(for: .milliseconds(1))
    }

    @Test("The patience does not end while there is a connection")
    func patience() async throws {
        let monitor = ConnectionMonitor { _ in }
        monitor.changed(to: .open)
        try await first(
            of: {
                try await monitor.untilLost(for: .milliseconds(1))
                Issue.record("The connection is there.")
            },
            or: { for _ in 0..<1000 { await Task.yield() } })
    }
}

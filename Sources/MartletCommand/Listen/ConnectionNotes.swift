// SPDX-License-Identifier: Apache-2.0

import MartletClient
import Synchronization

/// Tells the user how the connection of an event source fares, and knows for how long there has been none.
final class ConnectionNotes: Sendable {
    private struct State {
        var reason = ""
        var lostAt: ContinuousClock.Instant? = .now
    }

    private let state = Mutex(State())
    private let note: @Sendable (String) -> Void

    /// - Parameter note: Shows a line.
    init(note: @escaping @Sendable (String) -> Void) { self.note = note }

    /// Why there is no connection; empty where that is not known.
    var reason: String { state.withLock(\.reason) }

    func changed(to new: EventSource.State) {
        state.withLock { state in
            if new == .open { state.lostAt = nil } else if state.lostAt == nil { state.lostAt = .now }
            if case .waiting(_, let cause) = new { state.reason = cause.description }
        }
        switch new {
        case .open: note("connected")
        case .waiting(let time, let cause):
            note("connecting again in \(time.described): \(cause)")
        case .connecting, .closed: break
        }
    }

    /// Returns when there has been no connection for so long at a time.
    func untilLost(for limit: Duration) async throws {
        while true {
            let now = ContinuousClock.now
            let end = (state.withLock(\.lostAt) ?? now) + limit
            guard end > now else { return }
            try await Task.sleep(until: end, clock: .continuous)
        }
    }
}

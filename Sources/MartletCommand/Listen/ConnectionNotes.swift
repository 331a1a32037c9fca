// SPDX-License-Identifier: Apache-2.0

import Logging
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

    /// What a source is to be told to log with.
    var logger: Logger { Logger(label: "martlet.listen") { _ in ReasonHandler(notes: self) } }

    /// Why there is no connection; empty where that is not known.
    var reason: String { state.withLock(\.reason) }

    func changed(to new: EventSource.State) {
        let reason = state.withLock { state in
            if new == .open { state.lostAt = nil } else if state.lostAt == nil { state.lostAt = .now }
            return state.reason
        }
        switch new {
        case .open: note("connected")
        case .waiting(let time):
            note("connecting again in \(Duration.milliseconds(Int(time / .milliseconds(1))).described): \(reason)")
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

    /// An event source logs why it connects again.
    private struct ReasonHandler: LogHandler {
        let notes: ConnectionNotes
        var logLevel = Logger.Level.debug
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.MetadataValue? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let reason = event.metadata?["reason"].map { "\($0)" } ?? "\(event.message)"
            notes.state.withLock { $0.reason = reason }
        }
    }
}

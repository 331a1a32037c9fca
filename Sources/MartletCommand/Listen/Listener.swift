// SPDX-License-Identifier: Apache-2.0

import MartletClient
import Synchronization

/// Prints the events of a source one by one: it reads the next event from the server after it has written the last one.
struct Listener: Sendable {
    let source: EventSource
    let monitor: ConnectionMonitor
    let format: EventFormat
    /// How many events to print; `nil` for all.
    let count: Int?
    /// How long to go without a connection; `nil` for ever.
    let patience: Duration?

    /// Returns when the server has no more events, all are printed, or the command is stopped.
    func run() async throws {
        try await untilStopped {
            guard let patience else { return try await printEvents() }
            try await first(of: printEvents) {
                try await monitor.untilLost(for: patience)
                let text = "there was no connection for \(patience.described)"
                let reason = monitor.reason
                throw ClientError(.unreachable, reason.isEmpty ? text : "\(text): \(reason)")
            }
        }
    }

    private func printEvents() async throws {
        var printed = 0
        do {
            for try await event in source {
                guard try await StandardStream.output.send(try format.bytes(of: event)) else { return }
                printed += 1
                if printed == count { return }
            }
        } catch let error as EventSourceError {
            throw ClientError(error)
        }
    }
}

/// Reports changes of a source's connection to the user, and knows how long there has been none.
final class ConnectionMonitor: Sendable {
    private struct State {
        var reason = ""
        var lostAt: ContinuousClock.Instant? = .now
    }

    private let state = Mutex(State())
    private let note: @Sendable (String) -> Void

    /// - Parameter note: Shows a line.
    init(note: @escaping @Sendable (String) -> Void) { self.note = note }

    /// Why there is no connection; empty if unknown.
    var reason: String { state.withLock(\.reason) }

    func changed(to new: EventSource.State) {
        state.withLock { state in
            if new == .open { state.lostAt = nil } else if state.lostAt == nil { state.lostAt = .now }
            if case .waiting(_, let reason) = new { state.reason = reason.description }
        }
        switch new {
        case .open: note("connected")
        case .waiting(let time, let reason): note("connecting again in \(time.described): \(reason)")
        case .connecting, .closed: break
        }
    }

    /// Returns when there has been no connection for this time without a break.
    func untilLost(for limit: Duration) async throws {
        while true {
            let now = ContinuousClock.now
            let end = (state.withLock(\.lostAt) ?? now) + limit
            guard end > now else { return }
            try await Task.sleep(until: end, clock: .continuous)
        }
    }
}

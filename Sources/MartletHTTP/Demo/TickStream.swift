// SPDX-License-Identifier: Apache-2.0

import Foundation
import Martlet

/// The demo stream: `data: Time: 2026-01-31T12:00:00.0000000Z, Count: 0` every second, with a counter of its own for each
/// connection. It needs no hub to be filled, so that a client can be tried at once.
enum TickStream {
    static func write(to stream: EventStreamWriter, until hub: Hub) async throws {
        var next = ContinuousClock.now
        for count in 0... {
            if hub.isDraining { return }
            try await stream.send("Time: \(text(Date())), Count: \(count)")
            next += .seconds(1)
            try await Task.sleep(until: next, clock: .continuous)
        }
    }

    /// ISO 8601 in UTC with seven digits of a second.
    private static func text(_ date: Date) -> String {
        let ticks = Int64((date.timeIntervalSince1970 * 10_000_000).rounded())
        let seconds = Date(timeIntervalSince1970: Double(ticks / 10_000_000)).formatted(.iso8601)
        let digits = String(ticks % 10_000_000 + 10_000_000).dropFirst()
        return "\(seconds.dropLast()).\(digits)Z"
    }
}

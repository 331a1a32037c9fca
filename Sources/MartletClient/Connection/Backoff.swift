// SPDX-License-Identifier: Apache-2.0

import EventStream

/// How long to wait before a reconnect, or before anything else is tried again.
package struct Backoff: Sendable {
    /// What the server asked for last, or else the configuration.
    package var retry: Duration {
        didSet { retry = Self.bounded(retry) }
    }
    private let unit: Duration
    private let maximum: Duration
    /// How many connections in a row brought no event.
    private var failures = 0

    /// The least wait, also where a server or the configuration asks for none: a server that ends each connection at
    /// once is asked ten times a second.
    package static let least = Duration.milliseconds(100)

    /// The longest wait, also where a server or the configuration asks for more.
    package static let longest = Duration.milliseconds(EventStreamParser.maximumRetryMilliseconds)

    package init(retry: Duration, maximum: Duration) {
        self.retry = Self.bounded(retry)
        self.unit = Self.bounded(retry)
        self.maximum = Self.bounded(maximum)
    }

    private static func bounded(_ wait: Duration) -> Duration { min(max(wait, least), longest) }

    /// The connection has brought an event.
    mutating func succeeded() { failures = 0 }

    /// The time until the next connection: after one that brought an event, what the server asked for; else between
    /// that and the configured time, doubled for each failure, as chance has it.
    ///
    /// - Parameter least: What the server asked for this once.
    package mutating func next(least: Duration, using random: inout some RandomNumberGenerator) -> Duration {
        let least = max(retry, Self.bounded(least))
        var most = unit
        // Not a power, which would overflow.
        for _ in 0..<failures where most < maximum { most *= 2 }
        most = failures == 0 ? least : max(least, min(most, maximum))
        failures += 1
        return least + .milliseconds(Int64(Double.random(in: 0...((most - least) / .milliseconds(1)), using: &random)))
    }
}

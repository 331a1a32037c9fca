// SPDX-License-Identifier: Apache-2.0

import EventStream

/// How long to wait before a reconnect, or before a request is sent again.
struct Backoff: Sendable {
    /// The wait that the server asked for last; until then, that of the configuration.
    var retry: Duration {
        didSet { retry = Self.bounded(retry) }
    }
    private let unit: Duration
    private let maximum: Duration
    /// The number of failures in a row.
    private var failures = 0

    /// The shortest wait, even if the server or the configuration asks for less. A server that ends each connection at
    /// once gets ten requests a second.
    static let least = Duration.milliseconds(100)

    /// The longest wait, even if the server or the configuration asks for more.
    static let longest = Duration.milliseconds(EventStreamParser.maximumRetryMilliseconds)

    init(retry: Duration, maximum: Duration) {
        self.retry = Self.bounded(retry)
        self.unit = Self.bounded(retry)
        self.maximum = Self.bounded(maximum)
    }

    private static func bounded(_ wait: Duration) -> Duration { min(max(wait, least), longest) }

    /// Starts over: the connection has brought an event.
    mutating func succeeded() { failures = 0 }

    /// The time until the next attempt. After a success it is the wait that the server asked for. After failures it is
    /// random, between that wait and the configured one, doubled for each failure.
    ///
    /// - Parameter least: The shortest wait that the server asks for this once.
    mutating func next(least: Duration, using random: inout some RandomNumberGenerator) -> Duration {
        let least = max(retry, Self.bounded(least))
        var most = unit
        // A power would overflow.
        for _ in 0..<failures where most < maximum { most *= 2 }
        most = failures == 0 ? least : max(least, min(most, maximum))
        failures += 1
        return least + .milliseconds(Int64(Double.random(in: 0...((most - least) / .milliseconds(1)), using: &random)))
    }
}

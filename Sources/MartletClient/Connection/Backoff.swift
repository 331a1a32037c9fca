// SPDX-License-Identifier: Apache-2.0

/// How long to wait before a reconnect, or whatever else is tried again.
package struct Backoff: Sendable {
    /// What the server asked for last, or else the configuration: the least wait.
    package var retry: Duration
    private let unit: Duration
    /// Nobody is asked in a loop who fails at once, whatever the configuration.
    private static let leastUnit = Duration.milliseconds(100)
    private let maximum: Duration
    /// How many connections in a row brought nothing.
    private var failures = 0

    package init(retry: Duration, maximum: Duration) {
        self.retry = retry
        self.unit = max(retry, Self.leastUnit)
        self.maximum = maximum
    }

    /// The connection has brought something.
    mutating func succeeded() { failures = 0 }

    /// The time until the next connection: between what the server asked for and twice the configured time for each
    /// failure, as chance has it. A server that asks for no wait at all is waited for as soon as it fails.
    ///
    /// - Parameter least: What the server asked for this once.
    package mutating func next(least: Duration, using random: inout some RandomNumberGenerator) -> Duration {
        let least = max(retry, least)
        var most = failures == 0 ? least : max(unit, least)
        // Not a power, which would overflow.
        for _ in 0..<max(failures, 1) where most < maximum { most *= 2 }
        most = max(least, min(most, maximum))
        failures += 1
        let range = (most - least) / .milliseconds(1)
        return least + .milliseconds(Int64(Double.random(in: 0...range, using: &random)))
    }
}

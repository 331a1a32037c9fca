// SPDX-License-Identifier: Apache-2.0

/// How long to wait before a server that is away is asked again: twice as long with each failure up to a most, and each
/// time between half of that and all of it, so that nodes do not come back together.
package struct RetryDelay: Sendable {
    private let range: ClosedRange<Duration>
    private var bound: Duration

    package init(_ range: ClosedRange<Duration>) {
        self.range = range
        bound = range.lowerBound
    }

    /// The server has answered.
    package mutating func succeeded() { bound = range.lowerBound }

    package mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        defer { bound = min(bound * 2, range.upperBound) }
        return bound * Double.random(in: 0.5...1, using: &random)
    }

    package mutating func next() -> Duration {
        var random = SystemRandomNumberGenerator()
        return next(using: &random)
    }
}

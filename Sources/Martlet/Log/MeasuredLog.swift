// SPDX-License-Identifier: Apache-2.0

/// A log that knows how much history it has, for metrics.
public protocol MeasuredLog: Log {
    /// The size of history, in events and in bytes as retention counts them. Called from any thread; must not block.
    var size: (events: Int, bytes: Int) { get }
}

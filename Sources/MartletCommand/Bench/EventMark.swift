// SPDX-License-Identifier: Apache-2.0

/// What the data of a published event begins with, by which each subscriber's copy is recognized.
///
/// As text: `m1 <run> <sequence> <time> `, with decimal numbers.
struct EventMark: Equatable, Sendable {
    /// Tells the events of this run from those of others on the same stream.
    var run: UInt32
    /// Counts the events of a run from 0.
    var sequence: UInt64
    /// When the event was sent, as ``MonotonicTime``.
    var sentAt: UInt64

    /// The most bytes that a mark takes.
    static let longest = 3 + 11 + 21 + 21

    var text: String {
        "m1 \(run) \(sequence) \(sentAt) "
    }
}

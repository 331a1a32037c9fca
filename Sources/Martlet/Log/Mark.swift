// SPDX-License-Identifier: Apache-2.0

/// The number that this process gave to an event when it came from the log: dense, ascending, known to no other node.
///
/// The design calls it *Sequence*; in Swift that is the name of a protocol.
struct SequenceNumber: Comparable, Hashable, Sendable {
    var rawValue: UInt64

    static let zero = SequenceNumber(rawValue: 0)

    /// Not of the first.
    var previous: SequenceNumber { SequenceNumber(rawValue: rawValue - 1) }

    var next: SequenceNumber { SequenceNumber(rawValue: rawValue + 1) }

    static func < (a: SequenceNumber, b: SequenceNumber) -> Bool { a.rawValue < b.rawValue }
}

/// One place in the log, by its number on this node and by its position for everybody.
struct Mark: Hashable, Sendable {
    var sequence: SequenceNumber
    var position: Position
}

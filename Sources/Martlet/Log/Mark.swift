// SPDX-License-Identifier: Apache-2.0

/// The number that this process gives to an event when it reads it from the log: dense, ascending, and local to the
/// node.
///
/// The design calls it *Sequence*; in Swift that is the name of a protocol.
struct SequenceNumber: Comparable, Hashable, Sendable {
    var rawValue: UInt64

    static let zero = SequenceNumber(rawValue: 0)

    /// Must not be called on zero.
    var previous: SequenceNumber { SequenceNumber(rawValue: rawValue - 1) }

    var next: SequenceNumber { SequenceNumber(rawValue: rawValue + 1) }

    static func < (a: SequenceNumber, b: SequenceNumber) -> Bool { a.rawValue < b.rawValue }
}

/// One place in the log: its number on this node, and its position on all nodes.
struct Mark: Hashable, Sendable {
    var sequence: SequenceNumber
    var position: Position
}

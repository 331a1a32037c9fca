// SPDX-License-Identifier: Apache-2.0

/// How far the shards have come with what they were told of: who is slow, the clients or this process?
///
/// A client that takes nothing holds nobody up, so it does not count: it has left its group. What is left is a shard that
/// does not keep up with what is published.
struct ShardProgress {
    private struct Place {
        /// The last that the shard was told of.
        var told: SequenceNumber
        /// What it has written to everybody who takes it.
        var reached: SequenceNumber
    }

    private var places: [ObjectIdentifier: Place] = [:]

    /// A shard is told that feeds of its have grown.
    ///
    /// - Parameters:
    ///   - before: The last number before they grew.
    ///   - last: The last number now.
    mutating func tell(_ shard: ObjectIdentifier, before: SequenceNumber, last: SequenceNumber) {
        places[shard, default: Place(told: last, reached: before)].told = last
    }

    /// A shard has written everything up to a number.
    mutating func reach(_ shard: ObjectIdentifier, _ sequence: SequenceNumber) {
        guard let place = places[shard] else { return }
        if place.told <= sequence { places[shard] = nil } else { places[shard]?.reached = sequence }
    }

    /// What the slowest shard has written; `nil` where none has anything to do.
    var slowest: SequenceNumber? { places.values.lazy.map(\.reached).min() }
}

// SPDX-License-Identifier: Apache-2.0

/// Writes to some of the subscribers of a node.
protocol Shard: FeedListener {
    /// Ends all streams, each at another moment within the grace period.
    func drain()
}

extension Shard {
    var holdsUpPublishers: Bool { true }
}

/// How far each shard has come with the feeds that have grown.
///
/// It shows whether this process keeps up with what is published. A client that takes nothing does not count: it has left
/// its group.
struct ShardProgress {
    private struct Place {
        /// The last that the shard was told of.
        var told: SequenceNumber
        /// The last that it has written to every subscriber that can take it.
        var reached: SequenceNumber
    }

    private var places: [ObjectIdentifier: Place] = [:]

    /// Records that some feeds of a shard have grown, before the shard is called.
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

    /// The number that the slowest shard has reached; `nil` if no shard has work.
    var slowest: SequenceNumber? { places.values.lazy.map(\.reached).min() }
}

/// The order on every shard: first live delivery, one slice of every feed that has grown; then the stragglers, one slice
/// each, until their time is over.
enum Turns {
    /// How long stragglers may write if live delivery had nothing to do.
    static let moment = Duration.milliseconds(1)

    /// The time at which stragglers have written for as long as live delivery has. So live delivery gets half of the time of
    /// a busy shard, however many stragglers there are, and waits at most a moment on a shard that is not busy.
    ///
    /// - Parameters:
    ///   - start: When live delivery began.
    ///   - now: When it ended.
    static func end(liveSince start: ContinuousClock.Instant, now: ContinuousClock.Instant) -> ContinuousClock.Instant {
        now + max(moment, now - start)
    }
}

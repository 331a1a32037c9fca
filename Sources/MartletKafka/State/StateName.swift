// SPDX-License-Identifier: Apache-2.0

#if Kafka
import DequeModule
import Martlet
import MartletSupport

/// What a record of the state topic is about: a topic, or the value that a topic has for a key.
struct StateName: Hashable, Sendable {
    let topic: Topic
    /// `nil`: what is known of the topic itself.
    let key: ExactText?
}

/// The event that has changed something last. Of two versions from one partition, the later event is the newer.
struct StateVersion: Hashable, Sendable {
    let partition: Int
    /// Behind the event.
    let progress: Progress
    let stamp: Stamp

    init(partition: Int, progress: Progress, stamp: Stamp) {
        self.partition = partition
        self.progress = progress
        self.stamp = stamp
    }

    /// `nil` if no event is in front of the place.
    init?(_ place: KafkaPlace) {
        guard let stamp = place.stamp else { return nil }
        self.init(partition: place.partition, progress: place.progress[place.partition], stamp: stamp)
    }

    /// The offset of the record of the event.
    var offset: Int64 { progress.part > 0 ? progress.next : progress.next - 1 }

    /// Whether this one replaces the other. If a topic has moved to another partition, the one that is read later does.
    func replaces(_ other: StateVersion) -> Bool { partition != other.partition || progress > other.progress }
}

/// Names in the order of their last change. A value.
struct Recency<Name: Hashable & Sendable>: Sendable {
    private var stamps: [Name: UInt64] = [:]
    /// Some of the items are older than the last change of their name.
    private var order: Deque<(name: Name, stamp: UInt64)> = []
    private var lastStamp: UInt64 = 0

    init() {}

    init(_ names: [Name]) {
        for name in names { touch(name) }
    }

    var count: Int { stamps.count }
    var isEmpty: Bool { stamps.isEmpty }

    /// All names, the one that has changed least recently first.
    var all: [Name] { order.filter { stamps[$0.name] == $0.stamp }.map(\.name) }

    /// The name has changed, or is new.
    mutating func touch(_ name: Name) {
        lastStamp += 1
        stamps[name] = lastStamp
        order.append((name, lastStamp))
        if order.count > 2 * stamps.count + 16 { order.removeAll { stamps[$0.name] != $0.stamp } }
    }

    mutating func remove(_ name: Name) { stamps[name] = nil }

    /// Removes the name that has changed least recently.
    mutating func popOldest() -> Name? {
        while let first = order.popFirst() {
            guard stamps[first.name] == first.stamp else { continue }
            stamps[first.name] = nil
            return first.name
        }
        return nil
    }
}
#endif

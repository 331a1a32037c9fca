// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The current value of each key: the newest event of each topic that has the key. A value behind the hub's lock.
///
/// Values are ordered by the numbers of their events. So a newcomer reads them in slices while others are published: it
/// reads up to the number of the tail where it began, and passes over values that are newer, which its feed delivers.
///
/// Keys and bytes are bounded. Beyond a bound, the value that is oldest is forgotten.
///
/// The values of a topic that is gone are removed some at a time, with the values that are set after that. Until then
/// readers have to leave them out.
struct StateTable {
    struct Value: Sendable {
        let sequence: SequenceNumber
        let frame: Frame
    }

    /// Numbers in ascending order. Some values are gone; they are swept out before they are the most.
    private struct List {
        var numbers: Deque<SequenceNumber> = []
        var count = 0

        mutating func append(_ number: SequenceNumber) {
            numbers.append(number)
            count += 1
        }

        mutating func removeOne(_ isThere: (SequenceNumber) -> Bool) {
            count -= 1
            if numbers.count > 2 * count + 16 { numbers.removeAll { !isThere($0) } }
        }

        func firstIndex(after number: SequenceNumber) -> Int {
            var (low, high) = (numbers.startIndex, numbers.endIndex)
            while low < high {
                let middle = (low + high) / 2
                if numbers[middle] > number { high = middle } else { low = middle + 1 }
            }
            return low
        }
    }

    private let mostKeys: Int
    private let mostBytes: Int
    private var names: [EventKey: SequenceNumber] = [:]
    private var values: [SequenceNumber: Frame] = [:]
    private var all = List()
    private var topics: [Topic: List] = [:]
    private(set) var byteCount = 0
    /// How many values were forgotten because of a bound.
    private(set) var forgotten = 0

    /// The values of one topic that are to be removed.
    private struct Sweep {
        let topic: Topic
        /// Those up to here are removed.
        var after = SequenceNumber.zero
        let through: SequenceNumber
    }

    private var sweeps: Deque<Sweep> = []
    /// The most values of topics that are gone that are removed for one that is set.
    static let mostSwept = 64

    /// The most comparisons of a topic with a pattern, and the most values that are looked at, for one slice.
    private static let mostScanned = 4096

    init(keys: Int, bytes: Int) {
        mostKeys = keys
        mostBytes = bytes
    }

    var count: Int { values.count }

    /// Takes an event with a key in the place of the last one. Empty data removes the value.
    ///
    /// - Parameter sequence: The number of the event, greater than all before.
    /// - Returns: The frame of the value that was replaced.
    @discardableResult
    mutating func set(_ frame: Frame, at sequence: SequenceNumber) -> Frame? {
        let event = frame.record.event
        guard let name = EventKey(event) else { return nil }
        sweep()
        let old = names[name].flatMap { remove($0) }
        guard !event.data.isEmpty else { return old }
        names[name] = sequence
        values[sequence] = frame
        all.append(sequence)
        for topic in event.distinctTopics { topics[topic, default: List()].append(sequence) }
        byteCount += frame.byteCount
        while values.count > mostKeys || byteCount > mostBytes && values.count > 1 { forgetOldest() }
        return old
    }

    private mutating func forgetOldest() {
        while let first = all.numbers.first, values[first] == nil { all.numbers.removeFirst() }
        guard let oldest = all.numbers.first else { return }
        remove(oldest)
        forgotten += 1
    }

    @discardableResult
    private mutating func remove(_ sequence: SequenceNumber) -> Frame? {
        guard let frame = values.removeValue(forKey: sequence) else { return nil }
        let event = frame.record.event
        if let name = EventKey(event) { names[name] = nil }
        byteCount -= frame.byteCount
        all.removeOne { values[$0] != nil }
        for topic in event.distinctTopics {
            topics[topic]?.removeOne { values[$0] != nil }
            if topics[topic]?.count == 0 { topics[topic] = nil }
        }
        return frame
    }

    /// Removes all values that a topic has now, in the end.
    mutating func remove(_ topic: Topic) {
        guard let last = topics[topic]?.numbers.last else { return }
        sweeps.append(Sweep(topic: topic, through: last))
        sweep()
    }

    /// Removes some of the values that are to be removed.
    private mutating func sweep() {
        var left = Self.mostSwept
        while left > 0, let next = sweeps.first {
            let numbers = topics[next.topic].map { list in
                Array(list.numbers[list.firstIndex(after: next.after)...].prefix(left).prefix { $0 <= next.through })
            }
            guard let numbers, let last = numbers.last, last <= next.through else {
                sweeps.removeFirst()
                continue
            }
            left -= numbers.count
            sweeps[sweeps.startIndex].after = last
            for number in numbers where values[number]?.record.event.topic == next.topic { remove(number) }
        }
    }

    /// The next values that a selection selects, in their order.
    ///
    /// - Parameters:
    ///   - after: The number of the last value that the reader has seen.
    ///   - through: The number of the tail where the reader began.
    /// - Returns: The values, and the number up to which these are all.
    func slice(
        of selection: Selection, after: SequenceNumber, through: SequenceNumber, limit: SliceLimit, now: WallTime
    ) -> (values: [Value], end: SequenceNumber) {
        let lists = selection.hasPatterns ? [all] : selection.topics.compactMap { topics[$0] }
        let most = max(1, Self.mostScanned / max(1, selection.patternCount, lists.count))
        var numbers: [SequenceNumber] = []
        var end = through
        for list in lists {
            let some = list.numbers[list.firstIndex(after: after)...].prefix(most).prefix { $0 <= through }
            numbers += some
            // Of a list that goes on, later values may be missing.
            if some.count == most, let last = some.last { end = min(end, last) }
        }
        // An event of two topics is in both lists.
        if lists.count > 1 { numbers = Set(numbers).sorted() }
        var (found, bytes, last) = ([] as [Value], 0, after)
        for number in numbers.prefix(while: { $0 <= end }) {
            guard let frame = values[number] else { continue }
            guard limit.admits(frame.byteCount, behind: found.count, of: bytes) else { return (found, last) }
            last = number
            guard selection.contains(frame.record.event), !frame.record.event.isExpired(at: now) else { continue }
            bytes += frame.byteCount
            found.append(Value(sequence: number, frame: frame))
        }
        return (found, end)
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Martlet
import MartletSupport

/// Where the newest event of each topic and key is, as far as the bounds allow. A value.
///
/// A value stays where it is while its event is in history. When retention removes the event, its row moves to a table
/// of its own. So publishing costs nothing more, and what is in both tables, in the order of offsets, always leads to
/// the same values.
///
/// Beyond a bound, the oldest value is forgotten.
struct KeptValues {
    private struct Value {
        var offset: UInt64
        var byteCount: Int
        /// Whether the row has left history.
        var isStored: Bool
    }

    private let mostKeys: Int
    private let mostBytes: Int
    private var table: [Topic: [ExactText: Value]] = [:]
    /// The values in the order of their offsets; some of the items are no longer values.
    private var order: Deque<(offset: UInt64, topic: Topic, key: ExactText)> = []
    private(set) var count = 0
    private(set) var byteCount = 0
    /// How many values were forgotten because of a bound.
    private(set) var forgotten = 0
    /// Rows outside of history that are no longer values. The next transaction removes them.
    private(set) var outdated: [UInt64] = []

    init(keys: Int, bytes: Int) {
        mostKeys = keys
        mostBytes = bytes
    }

    /// Whether ``note(_:at:isStored:)`` may change anything.
    static func concerns(_ event: Event) -> Bool { event.key != nil || event.purgesTopic }

    /// Takes note of an event, in the order of the log.
    ///
    /// - Parameter isStored: Whether its row is outside of history.
    mutating func note(_ event: Event, at offset: UInt64, isStored: Bool = false) {
        if event.purgesTopic {
            for key in (table[event.topic] ?? [:]).keys { remove(event.topic, key) }
        }
        guard let key = event.key.map(ExactText.init) else { return }
        remove(event.topic, key)
        guard !event.data.isEmpty else { return }
        let value = Value(offset: offset, byteCount: event.byteCount, isStored: isStored)
        table[event.topic, default: [:]][key] = value
        order.append((offset, event.topic, key))
        count += 1
        byteCount += value.byteCount
        while count > mostKeys || byteCount > mostBytes && count > 1, let oldest = order.popFirst() {
            guard self[oldest.topic, oldest.key]?.offset == oldest.offset else { continue }
            remove(oldest.topic, oldest.key)
            forgotten += 1
        }
    }

    private subscript(topic: Topic, key: ExactText) -> Value? { table[topic]?[key] }

    private mutating func remove(_ topic: Topic, _ key: ExactText) {
        guard let old = table[topic]?.removeValue(forKey: key) else { return }
        if table[topic]?.isEmpty == true { table[topic] = nil }
        count -= 1
        byteCount -= old.byteCount
        if old.isStored { outdated.append(old.offset) }
        if order.count > 2 * count + 16 {
            let table = table
            order.removeAll { table[$0.topic]?[$0.key]?.offset != $0.offset }
        }
    }

    /// Whether the event at an offset is a value.
    func contains(_ event: Event, at offset: UInt64) -> Bool {
        guard let key = event.key else { return false }
        return self[event.topic, ExactText(key)]?.offset == offset
    }

    /// The row of a value has left history.
    mutating func moved(_ event: Event, at offset: UInt64) {
        guard let key = event.key.map(ExactText.init), self[event.topic, key]?.offset == offset else { return }
        table[event.topic]?[key]?.isStored = true
    }

    /// The outdated rows were removed.
    mutating func clearOutdated() { outdated = [] }

    /// The offsets of the values in ascending order, and whether their rows are outside of history.
    var all: [(offset: UInt64, isStored: Bool)] {
        order.compactMap { item in
            self[item.topic, item.key].flatMap { $0.offset == item.offset ? ($0.offset, $0.isStored) : nil }
        }
    }
}

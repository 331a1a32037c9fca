// SPDX-License-Identifier: Apache-2.0

/// Remembers values for a time, and so many of them at most: those that were stored last.
///
/// There are two generations. When the younger one is full the older one is forgotten, so that nothing has to be searched
/// for what to forget. At least half of the capacity is remembered.
struct GenerationCache<Key: Hashable & Sendable, Value: Sendable, Instant: InstantProtocol>: Sendable {
    private var young: [Key: (value: Value, end: Instant)] = [:]
    private var old: [Key: (value: Value, end: Instant)] = [:]
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { young.count + old.count }

    func value(for key: Key, at now: Instant) -> Value? {
        guard let entry = young[key] ?? old[key], now < entry.end else { return nil }
        return entry.value
    }

    mutating func removeAll(where isGone: (Value) -> Bool) {
        young = young.filter { !isGone($0.value.value) }
        old = old.filter { !isGone($0.value.value) }
    }

    mutating func store(_ value: Value, for key: Key, until end: Instant) {
        guard capacity > 0 else { return }
        if young[key] == nil, young.count >= max(1, capacity / 2) {
            old = capacity > 1 ? young : [:]
            young = [:]
        }
        old[key] = nil
        young[key] = (value, end)
    }
}

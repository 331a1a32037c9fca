// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The events in history whose topics have a rule of ``RetentionRules``, and which of them exceed it. A value.
///
/// An event costs the same however many topics there are.
package struct RuledTopics<Time: Sendable>: Sendable {
    /// An event in history.
    package struct Item: Sendable {
        package var offset: UInt64
        package var byteCount: Int
        package var time: Time
    }

    /// A number of events, and about how many bytes they have.
    package struct Surplus: Sendable {
        package var events: Int
        package var bytes: Int

        package init(events: Int = 0, bytes: Int = 0) {
            self.events = events
            self.bytes = bytes
        }
    }

    private struct Ruled {
        let rule: Int
        var items: Deque<Item> = []
        var byteCount = 0
    }

    private let rules: [RetentionRules.Rule]
    private var topics: [Topic: Ruled] = [:]
    /// For each rule with an age, the events that it is about, the oldest first; some were removed since.
    private var ages: [Deque<(offset: UInt64, topic: Topic, time: Time)>]
    /// For each rule, how many of its events are in history.
    private var counts: [Int]
    /// Topics that exceed their events or bytes.
    private var exceeding: Set<Topic> = []
    /// What exceeds the events and bytes of rules. It is about to be removed, so it does not count against the bounds of
    /// the whole history: a burst of one topic must not remove the events of another.
    package private(set) var surplus = Surplus()
    /// The rules of topics that are not in history.
    private var others: [Topic: Int?] = [:]

    private static var mostOthers: Int { 16_384 }

    /// `nil` if there are no rules.
    package init?(_ rules: RetentionRules) {
        guard !rules.isEmpty else { return nil }
        self.rules = rules.rules
        ages = rules.rules.map { _ in [] }
        counts = rules.rules.map { _ in 0 }
    }

    package var topicCount: Int { topics.count }

    private mutating func rule(of topic: Topic) -> Int? {
        if let known = others[topic] { return known }
        let rule = rules.firstIndex { $0.topics.matches(topic) }
        if others.count >= Self.mostOthers { others = [:] }
        others[topic] = .some(rule)
        return rule
    }

    private func exceeds(_ ruled: Ruled) -> Bool {
        let rule = rules[ruled.rule]
        return ruled.items.count > rule.events ?? .max || ruled.byteCount > rule.bytes ?? .max
    }

    /// An event is in history.
    ///
    /// - Parameter offset: Greater than all before.
    package mutating func append(_ topic: Topic, byteCount: Int, at offset: UInt64, time: Time) {
        if topics[topic] == nil {
            guard let rule = rule(of: topic) else { return }
            topics[topic] = Ruled(rule: rule)
        }
        guard let index = topics.index(forKey: topic) else { return }
        count(topics.values[index], -1)
        topics.values[index].items.append(Item(offset: offset, byteCount: byteCount, time: time))
        topics.values[index].byteCount += byteCount
        count(topics.values[index], 1)
        if exceeds(topics.values[index]) { exceeding.insert(topic) }
        let rule = topics.values[index].rule
        counts[rule] += 1
        if rules[rule].age != nil { ages[rule].append((offset, topic, time)) }
    }

    /// An event of a topic is no longer in history. It was the oldest of the topic.
    package mutating func remove(_ topic: Topic, at offset: UInt64) {
        guard let index = topics.index(forKey: topic), topics.values[index].items.first?.offset == offset else {
            return
        }
        count(topics.values[index], -1)
        let item = topics.values[index].items.removeFirst()
        topics.values[index].byteCount -= item.byteCount
        count(topics.values[index], 1)
        let rule = topics.values[index].rule
        if !exceeding.isEmpty, !exceeds(topics.values[index]) { exceeding.remove(topic) }
        if topics.values[index].items.isEmpty { topics.remove(at: index) }
        counts[rule] -= 1
        // The first of them is in history, so that a look at it is enough.
        while let first = ages[rule].first, isGone(first.topic, first.offset) { ages[rule].removeFirst() }
        if ages[rule].count > 2 * counts[rule] + 64 {
            var all = Deque<(offset: UInt64, topic: Topic, time: Time)>()
            swap(&all, &ages[rule])
            all.removeAll { isGone($0.topic, $0.offset) }
            swap(&all, &ages[rule])
        }
    }

    /// Whether an event of a topic is no longer in history.
    private func isGone(_ topic: Topic, _ offset: UInt64) -> Bool {
        guard let oldest = topics[topic]?.items.first?.offset else { return true }
        return oldest > offset
    }

    /// Counts what exceeds the rule of a topic, or counts it no longer.
    private mutating func count(_ ruled: Ruled, _ sign: Int) {
        let more = surplus(of: ruled.items.count, ruled.byteCount, ruled.rule)
        surplus.events += sign * more.events
        surplus.bytes += sign * more.bytes
    }

    private func surplus(of events: Int, _ bytes: Int, _ rule: Int) -> Surplus {
        let moreEvents = max(0, events - (rules[rule].events ?? .max))
        let moreBytes = max(0, bytes - (rules[rule].bytes ?? .max))
        guard moreEvents > 0 || moreBytes > 0 else { return Surplus() }
        // As if all events of the topic had the same size.
        let size = max(1, bytes / max(1, events))
        return Surplus(events: max(moreEvents, moreBytes / size), bytes: max(moreBytes, moreEvents * size))
    }

    /// The ``surplus`` once some events are in history, and others are not.
    package mutating func surplus(
        with added: [Topic: (events: Int, bytes: Int)], without removed: [(topic: Topic, item: Item)]
    ) -> Surplus {
        var changes = added
        for (topic, item) in removed {
            let (events, bytes) = changes[topic] ?? (0, 0)
            changes[topic] = (events - 1, bytes - item.byteCount)
        }
        var sum = surplus
        for (topic, change) in changes {
            let ruled = topics[topic]
            guard let rule = ruled?.rule ?? rule(of: topic) else { continue }
            let (events, bytes) = (ruled?.items.count ?? 0, ruled?.byteCount ?? 0)
            let before = surplus(of: events, bytes, rule)
            let after = surplus(of: events + change.events, bytes + change.bytes, rule)
            sum.events += after.events - before.events
            sum.bytes += after.bytes - before.bytes
        }
        return sum
    }

    /// Whether ``excess(with:through:atMost:isTooOld:)`` returns any.
    package func hasExcess(through: UInt64, isTooOld: (Time, Duration) -> Bool) -> Bool {
        !excess(through: through, atMost: 1, isTooOld: isTooOld).isEmpty
    }

    /// The next events to remove: of each topic, its oldest.
    ///
    /// - Parameters:
    ///   - added: Events that are not in history yet, by topic.
    ///   - through: Later events must not be removed.
    ///   - count: The most events to return.
    ///   - isTooOld: Whether an event of a time exceeds an age.
    /// - Returns: The offsets of the events, with their topics. Those of one topic are ascending.
    package func excess(
        with added: [Topic: (events: Int, bytes: Int)] = [:], through: UInt64, atMost count: Int,
        isTooOld: (Time, Duration) -> Bool
    ) -> [(topic: Topic, item: Item)] {
        var found: [(topic: Topic, item: Item)] = []
        var taken: [Topic: Int] = [:]
        func take(_ topic: Topic) {
            guard taken[topic] == nil, let ruled = topics[topic] else { return }
            let rule = rules[ruled.rule]
            var events = ruled.items.count + (added[topic]?.events ?? 0)
            var bytes = ruled.byteCount + (added[topic]?.bytes ?? 0)
            var number = 0
            for item in ruled.items {
                guard found.count < count, item.offset <= through else { break }
                guard
                    events > rule.events ?? .max || bytes > rule.bytes ?? .max
                        || rule.age.map({ isTooOld(item.time, $0) }) ?? false
                else { break }
                found.append((topic, item))
                (events, bytes, number) = (events - 1, bytes - item.byteCount, number + 1)
            }
            taken[topic] = number
        }
        // Those that cannot be removed yet must not make this take long.
        for topic in exceeding.prefix(max(count, 64)) where found.count < count { take(topic) }
        for topic in added.keys where found.count < count { take(topic) }
        for (rule, entries) in zip(rules, ages) {
            guard let age = rule.age else { continue }
            for entry in entries.prefix(2 * count) {
                guard found.count < count, entry.offset <= through, isTooOld(entry.time, age) else { break }
                take(entry.topic)
            }
        }
        return found
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Remembers for each topic the last of its events that was removed from history, so that a client that has not
/// missed anything of its topic is not told otherwise, however much of the others has gone.
///
/// The memory is bounded. Past the bound the older half is forgotten, and a topic that is not remembered counts as
/// trimmed up to where that half ended: a client that comes back after that long may be told of a gap that was none. So
/// may one with so many patterns that it would take too long to hold all that is remembered against them, and one that selects a topic of a private event with several topics, and has a right to none of them.
package struct TrimmedTopics {
    private struct Key: Hashable {
        var topic: Topic
        var audience: Audience
    }

    private enum Audience: String {
        case everybody = "e"
        /// Who has a right to the topic.
        case granted = "g"
        /// Who has a right to it or to another.
        case grantedAny = "a"
    }

    /// How many times a topic is held against a pattern for one answer.
    private static let mostMatches = 131_072

    private let capacity: Int
    private var last: [Key: UInt64] = [:]
    /// Every removed event that is not remembered by topic is at or below this offset.
    private var floor: UInt64 = 0

    /// - Parameter capacity: The most topics to remember; at least 2.
    package init(capacity: Int) { self.capacity = capacity }

    package mutating func insert(_ event: Event, at offset: UInt64) {
        let audience: Audience =
            if !event.isPrivate { .everybody } else if event.alternates.isEmpty { .granted } else { .grantedAny }
        last[Key(topic: event.topic, audience: audience)] = offset
        for topic in event.alternates { last[Key(topic: topic, audience: audience)] = offset }
        forgetOlderHalf()
    }

    private mutating func forgetOlderHalf() {
        guard last.count > capacity else { return }
        floor = last.values.sorted()[capacity / 2]
        last = last.filter { $0.value > floor }
    }

    /// All that is remembered, to be kept: a line with the floor, then one for each topic with the offset, the audience
    /// and the name, which has no control characters.
    package var lines: String {
        last.reduce(into: "\(floor)") { $0 += "\n\($1.value) \($1.key.audience.rawValue) \($1.key.topic)" }
    }

    /// Remembers what ``lines`` said of events that were removed after all that is remembered here.
    ///
    /// - Returns: whether the lines are such; else some of them may have been taken in.
    package mutating func insert(lines: String) -> Bool {
        let lines = lines.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(
            Substring.init)
        guard let floor = UInt64(lines[0]) else { return false }
        raiseFloor(to: floor)
        for line in lines.dropFirst() {
            guard let (offset, name) = line.cutExactly(at: UInt8(ascii: " ")), let offset = UInt64(offset),
                insert(name, at: offset)
            else { return false }
        }
        return true
    }

    /// Remembers the last removed event of a topic and an audience.
    ///
    /// - Parameter name: The audience, a space, and the name of the topic, which may begin with anything.
    /// - Returns: whether the name is such.
    package mutating func insert(_ name: Substring, at offset: UInt64) -> Bool {
        guard let (audience, topic) = name.cutExactly(at: UInt8(ascii: " ")),
            let audience = Audience(rawValue: String(audience)), let topic = try? Topic(String(topic))
        else { return false }
        last[Key(topic: topic, audience: audience)] = offset
        forgetOlderHalf()
        return true
    }

    /// Events up to an offset may have been removed that are not remembered by topic.
    package mutating func raiseFloor(to offset: UInt64) { floor = max(floor, offset) }

    /// Whether an event was removed that is selected and came after the offset.
    package func contains(_ selection: Selection, after offset: UInt64) -> Bool {
        if last.count * selection.patternCount > Self.mostMatches, last.values.contains(where: { $0 > offset }) {
            return true
        }
        return selection.selectors.contains { selector in
            if let topic = selector.exactTopic {
                return isTrimmed(topic, .everybody, after: offset) || isTrimmed(topic, .grantedAny, after: offset)
                    || (selection.maySeePrivate(topic) && isTrimmed(topic, .granted, after: offset))
            }
            return !selector.isExact && containsAny(of: selector, selection, after: offset)
        }
    }

    /// Whether an event was removed that a pattern selects. Looks at all that is remembered.
    private func containsAny(of pattern: TopicSelector, _ selection: Selection, after offset: UInt64) -> Bool {
        if floor > offset { return true }
        return last.contains { key, last in
            last > offset && pattern.matches(key.topic)
                && (key.audience != .granted || selection.maySeePrivate(key.topic))
        }
    }

    private func isTrimmed(_ topic: Topic, _ audience: Audience, after offset: UInt64) -> Bool {
        (last[Key(topic: topic, audience: audience)] ?? floor) > offset
    }
}

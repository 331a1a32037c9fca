// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Remembers for each topic the last of its events that retention removed. So a client that missed no event of its
/// topics gets no gap, however many events of other topics were removed. A value.
///
/// The memory is bounded: at the bound, the older half is forgotten, and a topic that is not remembered counts as
/// trimmed up to where that half ended. So a client may get a gap although it missed nothing
/// - if it comes back after a very long time,
/// - if it has so many patterns that comparing them with all topics would take too long,
/// - if it selects one topic of a private event with several topics, and has a right to none of them.
public struct TrimmedTopics: Sendable {
    private struct Key: Hashable {
        var topic: Topic
        var audience: Audience
    }

    private enum Audience: String {
        case everyone = "e"
        /// Subscribers with a right to the topic.
        case granted = "g"
        /// Subscribers with a right to the topic or to another topic of the event.
        case grantedAny = "a"
    }

    /// How many comparisons of a topic with a pattern one answer may take.
    private static let mostMatches = 131_072

    private let capacity: Int
    private var last: [Key: UInt64] = [:]
    /// Every removed event that is not remembered by topic is at or below this offset.
    private var floor: UInt64 = 0

    /// - Parameter capacity: The most topics to remember; at least 2.
    public init(capacity: Int) { self.capacity = capacity }

    /// Retention removed an event.
    ///
    /// - Parameter offset: The number of the event in the order of the log.
    public mutating func insert(_ event: Event, at offset: UInt64) {
        let audience = Self.audience(of: event)
        insert(Key(topic: event.topic, audience: audience), at: offset)
        for topic in event.alternates { insert(Key(topic: topic, audience: audience), at: offset) }
        forgetOlderHalf()
    }

    private static func audience(of event: Event) -> Audience {
        if !event.isPrivate { .everyone } else if event.alternates.isEmpty { .granted } else { .grantedAny }
    }

    private mutating func insert(_ key: Key, at offset: UInt64) {
        // Where nothing is remembered, the floor says more.
        guard offset > last[key] ?? floor else { return }
        last[key] = offset
    }

    /// The names under which a removed event is remembered: the audience, a space, and a topic.
    package static func names(of event: Event) -> [String] {
        event.topics.map { "\(audience(of: event).rawValue) \($0)" }
    }

    /// What is remembered of no topic was removed at or in front of this offset.
    package var lowest: UInt64 { floor }

    private mutating func forgetOlderHalf() {
        guard last.count > capacity else { return }
        floor = last.values.sorted()[capacity / 2]
        last = last.filter { $0.value > floor }
    }

    /// Everything that is remembered, as text to store: a line with the floor, then one line for each topic with the
    /// offset, the audience and the name, which has no control characters.
    package var lines: String {
        last.reduce(into: "\(floor)") { $0 += "\n\($1.value) \($1.key.audience.rawValue) \($1.key.topic)" }
    }

    /// Adds stored ``lines`` of events that were removed after those that are remembered here.
    ///
    /// - Returns: Whether the lines are valid. If not, some of them may have been added.
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
    /// - Parameter name: The audience, a space, and the name of the topic.
    /// - Returns: Whether the name is valid.
    package mutating func insert(_ name: Substring, at offset: UInt64) -> Bool {
        guard let (audience, topic) = name.cutExactly(at: UInt8(ascii: " ")),
            let audience = Audience(rawValue: String(audience)), let topic = try? Topic(String(topic))
        else { return false }
        insert(Key(topic: topic, audience: audience), at: offset)
        forgetOlderHalf()
        return true
    }

    /// Events of any topic may have been removed up to an offset.
    public mutating func raiseFloor(to offset: UInt64) { floor = max(floor, offset) }

    /// Whether retention removed, or may have removed, a selected event after the offset.
    public func contains(_ selection: Selection, after offset: UInt64) -> Bool {
        guard offset < .max else { return false }
        return contains(selection, in: offset + 1...UInt64.max)
    }

    /// Whether the last event of a selected topic that retention removed, or may have removed, is among these.
    package func contains(_ selection: Selection, in offsets: ClosedRange<UInt64>) -> Bool {
        if last.count * selection.patternCount > Self.mostMatches, last.values.contains(where: offsets.contains) {
            return true
        }
        return selection.selectors.contains { selector in
            if let topic = selector.exactTopic {
                return isTrimmed(topic, .everyone, in: offsets) || isTrimmed(topic, .grantedAny, in: offsets)
                    || (selection.maySeePrivate(topic) && isTrimmed(topic, .granted, in: offsets))
            }
            return !selector.isExact && containsAny(of: selector, selection, in: offsets)
        }
    }

    /// Whether retention removed an event that a pattern selects. Looks at every topic that is remembered.
    private func containsAny(
        of pattern: TopicSelector, _ selection: Selection, in offsets: ClosedRange<UInt64>
    ) -> Bool {
        if offsets.contains(floor) { return true }
        return last.contains { key, last in
            offsets.contains(last) && pattern.matches(key.topic)
                && (key.audience != .granted || selection.maySeePrivate(key.topic))
        }
    }

    private func isTrimmed(_ topic: Topic, _ audience: Audience, in offsets: ClosedRange<UInt64>) -> Bool {
        offsets.contains(last[Key(topic: topic, audience: audience)] ?? floor)
    }
}

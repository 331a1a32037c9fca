// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MartletSupport

/// Knowledge of topics besides their events: which have ended, who writes to them, and when they expire. A value.
///
/// The hub and its log each fold the events of the log into one, in the order of the log. So all nodes know the same, and
/// it outlives the events in history.
///
/// The number of topics is bounded. Beyond it, the topic that has changed least recently is forgotten: it is open again.
public struct TopicBook: Sendable {
    /// One topic.
    public struct Entry: Hashable, Sendable {
        public var topic: Topic
        /// Where the topic has ended; `nil` if it is open.
        public var end: Position?
        /// The newest writer of the topic; `nil` if no writer has given a name.
        public var writer: TopicWriter?
        /// When the topic expires; `nil`: never.
        public var expires: WallTime?
        /// The topic's last event, if the topic expires.
        public var last: Position?
        /// The events of the topic up to here are gone: the topic has expired, or history was purged.
        public var goneThrough: Position?

        public init(topic: Topic) { self.topic = topic }
    }

    /// A change that subscribers have to hear of.
    package enum Change {
        case none
        case ended
        /// The topic has expired, and begins again.
        case renewed
        /// All that was published to the topic is gone.
        case purged
    }

    /// The most topics where nothing else is set.
    public static let defaultCapacity = 100_000

    private let capacity: Int
    private var entries: [Topic: (entry: Entry, stamp: UInt64)] = [:]
    /// The topics by their last change; some of the items are older than that.
    private var order: Deque<(topic: Topic, stamp: UInt64)> = []
    private var stamps: UInt64 = 0
    /// How many topics expire.
    private var expiring = 0
    /// How many topics have lost events.
    private var goneCount = 0
    /// How many topics were forgotten because of the bound.
    public private(set) var forgotten = 0

    /// - Parameter capacity: The most topics.
    public init(capacity: Int = Self.defaultCapacity) { self.capacity = capacity }

    public init(_ entries: [Entry], capacity: Int = Self.defaultCapacity) {
        self.init(capacity: capacity)
        for entry in entries { self[entry.topic] = entry }
    }

    public var isEmpty: Bool { entries.isEmpty }
    public var count: Int { entries.count }
    /// Whether any topic has lost events, or may have.
    var hasGoneTopics: Bool { goneCount > 0 || expiring > 0 }
    /// All topics, the one that has changed least recently first.
    public var all: [Entry] {
        order.compactMap { item in entries[item.topic].flatMap { $0.stamp == item.stamp ? $0.entry : nil } }
    }

    /// Replaces every position, by one that says the same to a log that keeps this one.
    package mutating func translatePositions(_ body: (Position) -> Position) {
        for (topic, item) in entries {
            var entry = item.entry
            (entry.end, entry.last) = (entry.end.map(body), entry.last.map(body))
            entry.goneThrough = entry.goneThrough.map(body)
            entries[topic] = (entry, item.stamp)
        }
    }

    public subscript(topic: Topic) -> Entry? {
        get { entries[topic]?.entry }
        set { set(topic, newValue) }
    }

    private mutating func set(_ topic: Topic, _ entry: Entry?) {
        if let old = entries[topic]?.entry {
            if old.expires != nil { expiring -= 1 }
            if old.goneThrough != nil { goneCount -= 1 }
        }
        guard let entry else {
            entries[topic] = nil
            return
        }
        if entry.expires != nil { expiring += 1 }
        if entry.goneThrough != nil { goneCount += 1 }
        stamps += 1
        entries[topic] = (entry, stamps)
        order.append((topic, stamps))
        while entries.count > capacity, let oldest = order.popFirst() {
            guard entries[oldest.topic]?.stamp == oldest.stamp else { continue }
            set(oldest.topic, nil)
            forgotten += 1
        }
        if order.count > 2 * entries.count + 16 { order.removeAll { entries[$0.topic]?.stamp != $0.stamp } }
    }

    /// Where a topic has ended; `nil` if it is open.
    public func end(of topic: Topic, now: WallTime = .now) -> Position? {
        guard let entry = entries[topic]?.entry, !entry.isOver(at: now) else { return nil }
        return entry.end
    }

    // MARK: What is accepted

    /// Throws if a topic has ended, or its writer was replaced.
    ///
    /// - Throws: ``MartletError`` of the codes `topicEnded` and `writerReplaced`.
    public func check(_ events: [Event], now: @autoclosure () -> WallTime = .now) throws(MartletError) {
        var ended: Set<Topic> = []
        try check(events[...], behindEndsOf: &ended, now: now())
    }

    /// - Parameter ended: The topics that events in front of these have ended. Those that these end are added.
    func check(
        _ events: ArraySlice<Event>, behindEndsOf ended: inout Set<Topic>, now: @autoclosure () -> WallTime = .now
    ) throws(MartletError) {
        guard !entries.isEmpty || !ended.isEmpty || events.contains(where: \.endsTopic) else { return }
        for event in events {
            for topic in event.topics {
                guard !ended.contains(topic) else { throw .ended(topic) }
                guard let entry = entries[topic]?.entry, !entry.isOver(at: now()) else { continue }
                // What a topic had before it ended can still be removed.
                guard entry.end == nil || event.purgesTopic else { throw .ended(topic) }
                if topic == event.topic, let last = entry.writer, event.writer?.isReplaced(by: last) == true {
                    throw .replaced(last, of: topic)
                }
            }
            if event.endsTopic { ended.insert(event.topic) }
        }
    }

    /// Where the topic has ended that these events end, if that is all that they do.
    public func repeatedEnd(_ events: [Event]) -> Position? {
        guard events.count == 1, events[0].endsTopic else { return nil }
        return end(of: events[0].topic)
    }

    // MARK: What has happened

    /// Whether an event can change anything here.
    public func concerns(_ event: Event) -> Bool { event.changesTopic || expiring > 0 }

    /// Takes note of an event, in the order of the log.
    ///
    /// - Returns: Whether something is to be stored.
    @discardableResult
    public mutating func note(_ event: Event, at position: Position, now: WallTime = .now) -> Bool {
        guard concerns(event) else { return false }
        let before = entries[event.topic]?.entry
        _ = fold(event, at: position, now: now)
        return entries[event.topic]?.entry != before
    }

    /// Takes note of an event as ``note(_:at:now:)`` does, and says what subscribers have to hear of.
    package mutating func fold(_ event: Event, at position: Position, now: WallTime) -> Change {
        guard concerns(event) else { return .none }
        let topic = event.topic
        let old = entries[topic]?.entry
        guard old != nil || event.changesTopic else { return .none }
        var entry = old ?? Entry(topic: topic)
        var change = Change.none
        if entry.isOver(at: now) {
            change = .renewed
            entry = entry.renewed
        }
        if let expires = event.topicExpires { entry.expires = expires }
        if let writer = event.writer, entry.writer.map({ !writer.isReplaced(by: $0) }) ?? true { entry.writer = writer }
        if event.endsTopic, entry.end == nil {
            entry.end = position
            if change == .none { change = .ended }
        }
        if event.purgesTopic {
            entry.goneThrough = position
            if change != .renewed { change = .purged }
        }
        if entry.expires != nil { entry.last = position }
        if entry != old { self[topic] = entry }
        return change
    }
}

extension TopicBook.Entry {
    /// Whether the topic has expired.
    public func isOver(at now: WallTime) -> Bool { expires.map { $0 <= now } ?? false }

    /// Up to where the events of the topic are gone; `nil` if none are.
    package func gone(at now: WallTime) -> Position? { isOver(at: now) ? last : goneThrough }

    /// The topic after it has expired.
    var renewed: TopicBook.Entry {
        var entry = TopicBook.Entry(topic: topic)
        entry.goneThrough = last ?? goneThrough
        return entry
    }
}

extension MartletError {
    package static func ended(_ topic: Topic) -> MartletError {
        MartletError(.topicEnded, field: "topic", "The topic \(topic) has ended. Publish to another.")
    }

    fileprivate static func replaced(_ writer: TopicWriter, of topic: Topic) -> MartletError {
        replaced(epoch: writer.epoch, of: topic)
    }

    package static func replaced(epoch: UInt64, of topic: Topic) -> MartletError {
        MartletError(
            .writerReplaced, field: "Stream-Writer",
            "Another writer has taken over the topic \(topic), with epoch \(epoch). Stop writing.")
    }
}

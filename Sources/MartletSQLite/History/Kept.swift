// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import Synchronization

/// What outlives the events in history. Only the writing connection changes it, after each commit.
struct Kept {
    /// How much to keep.
    struct Bounds: Sendable {
        var topics = TopicBook.defaultCapacity
        var keys = 100_000
        var bytes = 64 * 1024 * 1024
    }

    let bounds: Bounds
    /// The topics that have ended, expire, or have a writer.
    private(set) var topics: TopicBook
    /// The greatest stamp of a row.
    private(set) var stamp: Int64 = 0
    /// The newest event of each topic and key.
    var values: KeptValues

    init(_ bounds: Bounds) {
        self.bounds = bounds
        topics = TopicBook(capacity: bounds.topics)
        values = KeptValues(keys: bounds.keys, bytes: bounds.bytes)
    }

    /// Takes a topic, the one that changed least recently first.
    mutating func restore(_ entry: TopicBook.Entry, stamp: Int64) {
        topics[entry.topic] = entry
        self.stamp = stamp
    }

    /// A transaction has changed topics.
    mutating func take(_ changes: TopicChanges) {
        for entry in changes.changed { topics[entry.topic] = entry }
        stamp += Int64(changes.changed.count)
    }
}

/// The topics that a group of publishes is about, and what it changes of them. A value.
///
/// Made within the transaction that writes the group, so that what is in memory is never ahead of the file.
struct TopicChanges {
    private let kept: (_ body: (borrowing Kept) -> Void) -> Void
    private let startsEmpty: Bool
    /// The topics of the publishes, as far as anything is known of them.
    private var book = TopicBook(capacity: .max)
    private var changes: [Topic: Int] = [:]
    private var count = 0

    /// - Parameter kept: What is in the file.
    init(of history: History) {
        kept = { body in history.kept.withLock { body($0) } }
        startsEmpty = history.kept.withLock { $0.topics.isEmpty }
    }

    /// The topics that have changed, in the order of their last changes.
    var changed: [TopicBook.Entry] {
        changes.sorted { $0.value < $1.value }.compactMap { book[$0.key] }
    }

    private mutating func load(_ events: [Event]) {
        guard !startsEmpty else { return }
        var found: [TopicBook.Entry] = []
        kept { kept in
            for event in events {
                if let entry = kept.topics[event.topic] { found.append(entry) }
                for topic in event.alternates { if let entry = kept.topics[topic] { found.append(entry) } }
            }
        }
        for entry in found where book[entry.topic] == nil { book[entry.topic] = entry }
    }

    /// Whether the events may be published.
    ///
    /// - Returns: Where the topic has ended, if all that they do is to end it again; otherwise `nil`.
    /// - Throws: `topicEnded` and `writerReplaced`.
    mutating func check(_ events: [Event]) throws(MartletError) -> Position? {
        load(events)
        if let end = book.repeatedEnd(events) { return end }
        try book.check(events)
        return nil
    }

    /// Loads what the events are about, which are accepted in any case.
    mutating func begin(_ events: [Event]) { load(events) }

    mutating func note(_ event: Event, at position: @autoclosure () -> Position, now: WallTime) {
        guard book.concerns(event), book.note(event, at: position(), now: now) else { return }
        count += 1
        changes[event.topic] = count
    }

    /// Writes the changed topics, and removes those that exceed the bound.
    func write(to database: Database, offset: (Position) -> UInt64?) throws {
        guard !changes.isEmpty else { return }
        let changed = changed
        var (stamp, rows, most) = (0 as Int64, 0, 0)
        kept { kept in
            (stamp, most) = (kept.stamp, kept.bounds.topics)
            rows = kept.topics.count + changed.count { kept.topics[$0.topic] == nil }
        }
        for entry in changed {
            stamp += 1
            try TopicRow.insert(entry, stamp: stamp, offset: offset, into: database)
        }
        if rows > most { try TopicRow.removeOldest(rows - most, from: database) }
    }
}

extension History {
    /// Removes rows outside of history that are no longer values.
    func removeOutdated(in database: Database) throws {
        let outdated = kept.withLock { $0.values.outdated }
        guard !outdated.isEmpty else { return }
        for offset in outdated { try EventRow.remove(offset, from: .value, in: database) }
    }

    /// What outlives history, read by the writing connection.
    func present(at now: WallTime, in database: Database) throws -> Present {
        let (topics, places) = kept.withLock { ($0.topics, $0.values.all) }
        var values: [Martlet.Record] = []
        for (offset, isStored) in places {
            do {
                guard let row = try EventRow.read(offset, in: isStored ? .value : .event, from: database) else {
                    throw DamageError.event(offset)
                }
                let position = position(offset)
                if let gone = topics[row.event.topic]?.gone(at: now), segments.covers(gone, position) { continue }
                values.append(Martlet.Record(position: position, event: row.event))
            } catch  where error.isDamage {
                damaged(error)
            }
        }
        return Present(topics: topics, values: values)
    }
}

// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import MartletSupport
import Synchronization

/// The work of the writing connection.
extension History {
    /// How many more events than necessary are removed from a large history: a sixty-fourth of it, at most one removal.
    private var slack: Int { min(Removal.mostEvents, retention.events / 1024 * 16) }

    /// How many pages one step moves to shrink the file.
    private static let pagesMoved = 256
    /// The file shrinks when more pages than these are empty, and a quarter of all.
    private static let mostEmptyPages: Int64 = 1024

    /// Writes publishes and removes what exceeds retention, in one transaction.
    ///
    /// - Parameter tailed: Events behind this offset are not removed.
    func commit(_ publishes: [PendingPublish], at time: Int64, tailed: UInt64, in database: Database) throws -> Commit {
        let (commit, removal) = try transaction(in: database) {
            try removeOutdated(in: database)
            let commit = try Commit(publishes, to: self, at: time, in: database)
            return (commit, try remove(counting: commit.rows, at: time, through: tailed, in: database))
        }
        index.withLock { index in
            removal.thinning.map { index.remove($0) }
            for row in commit.rows { index.append(row) }
            removal.oldest.map { index.remove($0) }
        }
        committed(commit, removal)
        return commit
    }

    /// What a transaction has removed.
    private struct Removed {
        /// Because of rules.
        var thinning: Thinning?
        var oldest: Removal?
    }

    private func committed(_ commit: Commit?, _ removal: Removed) {
        kept.withLock { kept in
            kept.values.clearOutdated()
            for (offset, event) in (removal.oldest?.kept ?? []) + (removal.thinning?.kept ?? []) {
                kept.values.moved(event, at: offset)
            }
            guard let commit else { return }
            kept.take(commit.topics)
            for row in commit.rows where KeptValues.concerns(row.event) { kept.values.note(row.event, at: row.offset) }
        }
    }

    /// Removes some of the events that exceed retention.
    func trim(at time: Int64, tailed: UInt64, in database: Database) throws {
        let removal = try transaction(in: database) {
            try removeOutdated(in: database)
            return try remove(counting: [], at: time, through: tailed, in: database)
        }
        index.withLock { index in
            removal.thinning.map { index.remove($0) }
            removal.oldest.map { index.remove($0) }
        }
        committed(nil, removal)
    }

    private func transaction<Value>(in database: Database, _ body: () throws -> Value) throws -> Value {
        do {
            return try database.transaction(body)
        } catch {
            index.withLock { ($0.leaving, $0.leavingSome) = (0, []) }
            throw error
        }
    }

    /// Whether events exceed retention and may be removed.
    func exceedsRetention(at time: Int64, tailed: UInt64) -> Bool {
        index.withLock { index in
            guard index.count > 0, index.first <= tailed else { return false }
            let surplus = index.ruled?.surplus
            return index.count - (surplus?.events ?? 0) > retention.events
                || index.byteCount - (surplus?.bytes ?? 0) > retention.bytes
                || index.oldest.map { isTooOld($0, at: time) } ?? false
                || index.ruled?.hasExcess(through: tailed) { Self.isOlder($0, than: $1, at: time) } ?? false
        }
    }

    private func isTooOld(_ event: Int64, at time: Int64) -> Bool {
        Self.isOlder(event, than: retention.age, at: time)
    }

    private static func isOlder(_ event: Int64, than age: Duration, at time: Int64) -> Bool {
        .milliseconds(time) - .milliseconds(event) > age
    }

    /// Removes some of the events that exceed rules, and some of the oldest if they exceed retention.
    private func remove(
        counting rows: [EventRow], at time: Int64, through tailed: UInt64, in database: Database
    ) throws -> Removed {
        let plan = index.withLock { planThinning(counting: rows, at: time, through: tailed, &$0) }
        var thinning: Thinning?
        if !plan.offsets.isEmpty {
            thinning = try Thinning(plan.offsets, holes: plan.holes, spareTopics: plan.spareTopics, in: database) {
                row in
                kept.withLock { $0.values.contains(row.event, at: row.offset) }
            }
        }
        let oldest = try removeOldest(
            counting: rows, thinning: thinning, surplus: plan.surplus, at: time, through: tailed, in: database)
        return Removed(thinning: thinning, oldest: oldest)
    }

    /// What to remove because of rules.
    private struct ThinningPlan {
        var offsets: [UInt64] = []
        var holes: [ClosedRange<UInt64>] = []
        var spareTopics = 0
        /// What exceeds rules and cannot be removed yet.
        var surplus = RuledTopics<Int64>.Surplus()
    }

    private func planThinning(
        counting rows: [EventRow], at time: Int64, through tailed: UInt64, _ index: inout HistoryIndex
    ) -> ThinningPlan {
        guard index.ruled != nil else { return ThinningPlan() }
        var added: [Topic: (events: Int, bytes: Int)] = [:]
        for row in rows {
            let (events, bytes) = added[row.event.topic] ?? (0, 0)
            added[row.event.topic] = (events + 1, bytes + row.event.byteCount)
        }
        let excess = index.excess(with: added, through: tailed, atMost: Removal.mostEvents) {
            Self.isOlder($0, than: $1, at: time)
        }
        let offsets = excess.items.map(\.item.offset).sorted()
        index.leavingSome = Set(offsets)
        return ThinningPlan(
            offsets: offsets, holes: index.holes(without: offsets), spareTopics: trimmedTopics - index.thinnedTopics,
            surplus: excess.surplus)
    }

    private func removeOldest(
        counting rows: [EventRow], thinning: Thinning?, surplus: RuledTopics<Int64>.Surplus, at time: Int64,
        through tailed: UInt64, in database: Database
    ) throws -> Removal? {
        let (first, last, events, bytes, oldest) = index.withLock {
            ($0.first, $0.last, $0.count, $0.byteCount, $0.oldest)
        }
        let count = events + rows.count - (thinning?.events.count ?? 0) - surplus.events
        let size = rows.reduce(bytes) { $0 + $1.event.byteCount } - (thinning?.byteCount ?? 0) - surplus.bytes
        let isTooOld = oldest.map { self.isTooOld($0, at: time) } ?? false
        guard count > retention.events || size > retention.bytes || isTooOld, first <= min(tailed, last) else {
            return nil
        }
        let goal = count > retention.events ? retention.events - slack : retention.events
        /// Not counting what has just been removed because of rules.
        func firstMissing(in range: Range<UInt64>) -> UInt64? {
            index.withLock { index in
                var next = index.firstEvent(in: range)
                while let offset = next, index.leavingSome.contains(offset) {
                    next = index.firstEvent(in: offset + 1..<range.upperBound)
                }
                return next
            }
        }
        let removal = try Removal(first...min(tailed, last), from: database, firstMissing: firstMissing) {
            removal, row in
            count - removal.count > goal || size - removal.byteCount > retention.bytes
                || self.isTooOld(row.time, at: time)
        } isValue: { row in
            kept.withLock { $0.values.contains(row.event, at: row.offset) }
        }
        // Between the commit and the change of the index, readers must not take these events for damage.
        let mayHaveHoles = index.withLock { index in
            index.leaving = removal.last
            return index.mayHaveHoles || thinning != nil
        }
        if mayHaveHoles, removal.count > 0 { try Thinning.removeHoles(through: removal.last, in: database) }
        if removal.count > 0 { try Removal.merge(index.withLock { $0.trimmed }, with: removal, in: database) }
        return removal
    }

    /// Returns some empty pages to the file system. Returns whether there are more.
    func shrink(in database: Database) throws -> Bool {
        guard try hasManyEmptyPages(database) else { return false }
        try database.execute(sql: "PRAGMA incremental_vacuum(\(Self.pagesMoved))")
        if try hasManyEmptyPages(database) { return true }
        // The checkpoint truncates the file.
        _ = try? database.checkpoint(.truncate)
        return false
    }

    private func hasManyEmptyPages(_ database: Database) throws -> Bool {
        let empty = try Int64.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
        guard empty > Self.mostEmptyPages else { return false }
        return empty > (try Int64.fetchOne(database, sql: "PRAGMA page_count") ?? 0) / 4
    }

    /// Marks the file as properly closed.
    func finish(in database: Database) throws {
        try database.execute(sql: "PRAGMA synchronous = FULL")
        try database.transaction { try LogState.set(cleanEnd: last, in: database) }
    }
}

/// A group of publishes that one transaction writes. It is made within the transaction, and valid once that is
/// committed.
struct Commit {
    /// The offsets of the events of a publish.
    typealias Answer = Result<Range<UInt64>, MartletError>

    private(set) var rows: [EventRow] = []
    private(set) var answers: [Answer] = []
    private(set) var topics: TopicChanges
    private let history: History
    private let last: UInt64
    private let time: Int64
    /// When the events are accepted, by the clock that says when topics expire.
    let wallTime = WallTime.now
    /// The ids and keys of the rows.
    private var ids: Set<ExactText> = []
    private var ranges: [ExactText: Range<UInt64>] = [:]

    /// - Parameters:
    ///   - history: The events in front of these.
    ///   - time: The time for ages.
    init(_ publishes: [PendingPublish], to history: History, at time: Int64, in database: Database) throws {
        self.history = history
        last = history.last
        self.time = max(time, history.time)
        topics = TopicChanges(of: history)
        for publish in publishes { answers.append(try add(publish, to: database)) }
        try topics.write(to: database) { position in
            if case .at(let offset) = history.segments.find(position.text, last: .max) { offset } else { nil }
        }
    }

    private mutating func add(_ publish: PendingPublish, to database: Database) throws -> Answer {
        if let key = publish.key, let accepted = try accepted(publish.events, once: key, in: database) {
            return accepted.events.elementsEqual(publish.events, by: { $0.withoutExpiry == $1.withoutExpiry })
                ? .success(accepted.range) : .failure(.keyReused)
        }
        if publish.mayBeRefused {
            do {
                if let end = try topics.check(publish.events),
                    case .at(let offset) = history.segments.find(end.text, last: .max)
                {
                    return .success(offset..<offset + 1)
                }
            } catch {
                return .failure(error)
            }
        } else {
            topics.begin(publish.events)
        }
        let first = last + 1 + UInt64(rows.count)
        for event in publish.events {
            var row = EventRow(
                offset: last + 1 + UInt64(rows.count), time: time, event: event, repeatsID: false, publish: nil)
            if let id = event.id {
                row.repeatsID = try !ids.insert(ExactText(id)).inserted || history.contains(id: id, in: database)
            }
            if let key = publish.key, row.offset == first {
                row.publish = EventRow.Publish(key: key, count: publish.events.count)
            }
            try row.insert(into: database)
            topics.note(event, at: history.position(row.offset), now: wallTime)
            rows.append(row)
        }
        let range = first..<first + UInt64(publish.events.count)
        if let key = publish.key { ranges[ExactText(key)] = range }
        return .success(range)
    }

    /// The events that were accepted with a key, in this transaction or before.
    private func accepted(
        _ published: [Event], once key: String, in database: Database
    ) throws -> (range: Range<UInt64>, events: [Event])? {
        if let range = ranges[ExactText(key)] {
            return (range, range.map { rows[Int($0 - last - 1)].event })
        }
        guard let range = try history.publish(key: key, in: database) else { return nil }
        var events: [Event] = []
        func firstMissing(in range: Range<UInt64>) -> UInt64? { history.index.withLock { $0.firstEvent(in: range) } }
        try EventRow.read(
            range.lowerBound...range.upperBound - 1, from: database, firstMissing: firstMissing
        ) { row in
            // What a rule has removed cannot be compared.
            while range.lowerBound + UInt64(events.count) < row.offset, events.count < published.count {
                events.append(published[events.count])
            }
            events.append(row.event)
            return true
        }
        if range.count == published.count { events += published.dropFirst(events.count) }
        return (range, events)
    }
}

// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import MartletSupport

/// What is written in one transaction: the publishes that have waited for the one before. It is worked out within the
/// transaction, and counts once that is committed.
struct Commit {
    /// Events that are published together, and who waits for them.
    struct Publish: Sendable {
        var events: [Event]
        var key: String?
        var continuation: CheckedContinuation<[Position], any Error>
        var byteCount: Int
    }

    /// What is to be answered: where the events are.
    typealias Answer = Result<Range<UInt64>, MartletError>

    private(set) var rows: [EventRow] = []
    private(set) var answers: [Answer] = []
    private let history: History
    private let last: UInt64
    private let time: Int64
    /// The ids and keys that the rows have.
    private var ids: Set<ExactText> = []
    private var ranges: [ExactText: Range<UInt64>] = [:]

    /// - Parameters:
    ///   - history: What these come behind.
    ///   - time: What time it is.
    init(_ publishes: [Publish], to history: History, at time: Int64, in database: Database) throws {
        self.history = history
        last = history.last
        self.time = max(time, history.time)
        for publish in publishes { answers.append(try add(publish, to: database)) }
    }

    private mutating func add(_ publish: Publish, to database: Database) throws -> Answer {
        if let key = publish.key, let accepted = try accepted(once: key, in: database) {
            return accepted.events == publish.events ? .success(accepted.range) : .failure(.keyReused)
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
            rows.append(row)
        }
        let range = first..<first + UInt64(publish.events.count)
        if let key = publish.key { ranges[ExactText(key)] = range }
        return .success(range)
    }

    /// What was accepted with a key before, just now or long ago.
    private func accepted(once key: String, in database: Database) throws -> (range: Range<UInt64>, events: [Event])? {
        if let range = ranges[ExactText(key)] {
            return (range, range.map { rows[Int($0 - last - 1)].event })
        }
        guard let range = try history.publish(key: key, in: database) else { return nil }
        var events: [Event] = []
        try EventRow.read(range.lowerBound...range.upperBound - 1, from: database) { row in
            events.append(row.event)
            return true
        }
        return (range, events)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet

/// A log under test, as its hub sees it: opened, and followed up to ``end``. Each answer of the log is checked as far as
/// that is possible without knowing what was appended.
struct LogProbe: Sendable {
    let log: any Log
    /// The end of the log when it was opened.
    let start: Position
    /// Everything that the tail has given.
    private(set) var tailed: [Record] = []
    /// The end of the tail.
    private(set) var end: Position

    init(opening log: any Log) async throws {
        self.log = log
        start = try await log.open()
        end = start
    }

    /// Appends the events, in groups of one, two and three, and tails them.
    init(opening log: any Log, with events: [Event]) async throws {
        try await self.init(opening: log)
        var rest = events[...]
        var size = 1
        while !rest.isEmpty {
            try await append(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            size = size % 3 + 1
        }
        try await follow(to: events.count)
    }

    /// Opens another instance on the history of an earlier probe, and continues there.
    init(opening log: any Log, after before: LogProbe) async throws {
        self.log = log
        start = before.start
        tailed = before.tailed
        end = try await log.open()
    }

    @discardableResult
    func append(_ events: [Event], once key: String? = nil) async throws -> [Position] {
        let positions = try await log.append(events, once: key)
        try require(
            positions.count == events.count, "append gave \(positions.count) positions for \(events.count) events"
        )
        return positions
    }

    /// Tails until this many events have come since the log was opened.
    mutating func follow(to count: Int, limit: SliceLimit = SliceLimit()) async throws {
        let records = try await tail(after: end, count: count - tailed.count, limit: limit)
        tailed += records.records
        end = records.end
    }

    /// Tails one slice; events may have been removed before it.
    mutating func followSlice(limit: SliceLimit = SliceLimit()) async throws -> Slice {
        let slice = try await log.tail(after: end, limit: limit)
        tailed += slice.records
        end = slice.end
        return slice
    }

    /// Tails until this many events have come.
    func tail(after place: Position, count: Int, limit: SliceLimit = SliceLimit()) async throws -> Reading {
        var reading = Reading(end: place)
        while reading.records.count < count {
            let slice = try await log.tail(after: reading.end, limit: limit)
            try require(!slice.records.isEmpty, "tail returned an empty slice")
            try reading.append(slice, limit: limit, of: log)
        }
        try require(
            reading.records.count == count,
            "the tail after \(place) gave \(reading.records.count) events, and \(count) were appended"
        )
        return reading
    }

    /// Reads to the end of the tail, or to another position, slice by slice.
    ///
    /// - Parameter mayMissSomething: Whether the first slice may have a gap.
    func read(
        _ selection: Selection?, after place: Position, through: Position? = nil, limit: SliceLimit = SliceLimit(),
        mayMissSomething: Bool = false
    ) async throws -> Reading {
        let through = through ?? end
        var reading = Reading(end: place, mayMissSomething: mayMissSomething)
        while true {
            let slice = try await log.read(selection, after: reading.end, through: through, limit: limit)
            try reading.append(slice, limit: limit, of: log)
            try require(log.covers(through, slice.end), "a slice ends at \(slice.end), which \(through) does not cover")
            if slice.isComplete { break }
            try require(!slice.records.isEmpty, "a slice is empty, although there is more to read")
        }
        try require(
            log.covers(reading.end, through), "a reader that has read all up to \(through) stands at \(reading.end)"
        )
        return reading
    }

    /// Resolves the id of a client that has missed no removed event, and reads the events that it has not seen.
    func resume(after id: String, _ selection: Selection) async throws -> Reading {
        let resolution = try await log.resolve(id, for: selection)
        try require(resolution.gap == nil, "\(id) resolves with the gap \(resolution.gap?.rawValue ?? "")")
        return try await read(selection, after: resolution.position)
    }
}

/// The slices that a reader received.
struct Reading {
    private(set) var records: [Record] = []
    /// The position of the reader.
    private(set) var end: Position
    /// Its position after each slice.
    private(set) var sliceEnds: [Position] = []
    /// The end of the gap.
    private(set) var gap: Position?
    private let mayMissSomething: Bool

    init(end: Position, mayMissSomething: Bool = false) {
        self.end = end
        self.mayMissSomething = mayMissSomething
    }

    var events: [Event] { records.map(\.event) }

    fileprivate mutating func append(_ slice: Slice, limit: SliceLimit, of log: any Log) throws {
        if let gap = slice.gap {
            try require(mayMissSomething, "there is a gap up to \(gap), although nothing is missing")
            try require(sliceEnds.isEmpty, "there is another gap up to \(gap) behind the first slice")
            try require(log.covers(gap, end), "a reader at \(end) has a gap up to \(gap)")
            (self.gap, end) = (gap, gap)
        }
        let bytes = slice.records.reduce(0) { $0 + $1.event.byteCount }
        try require(
            slice.records.count <= max(1, limit.events), "a slice of \(limit.events) has \(slice.records.count) events"
        )
        try require(
            slice.records.count <= 1 || bytes <= limit.bytes, "a slice of \(limit.bytes) bytes has \(bytes)"
        )
        for position in slice.records.map(\.position) + [slice.end] {
            try require(log.covers(position, end), "a reader moves from \(end) back to \(position)")
            end = position
        }
        records += slice.records
        sliceEnds.append(slice.end)
    }
}

extension Resolution {
    var gapText: String { gap.map { "the gap \($0.rawValue)" } ?? "no gap" }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet

/// A log that removes its oldest events, and everything that was appended to it. No two events are equal.
struct HistoryProbe: Sendable {
    private(set) var probe: LogProbe
    /// Everything that was appended, in this order.
    private(set) var accepted: [Event] = []

    /// The topics that fill the log, in turns, so that every partition of a log removes events.
    static let fillers: [Topic] = ["filler/0", "filler/1"]
    /// The number of rounds of fillers that must be enough to remove any event.
    private static let mostRounds = 200
    /// The number of looks after which history must be stable.
    private static let mostLooks = 1000

    init(opening log: any Log, with events: [Event] = []) async throws {
        probe = try await LogProbe(opening: log)
        for event in events { try await append([event]) }
    }

    /// Continues with the history of another instance, and knows what that has tailed.
    init(opening log: any Log, after before: HistoryProbe) async throws {
        probe = try await LogProbe(opening: log, after: before.probe)
        accepted = before.accepted
    }

    var log: any Log { probe.log }

    /// The places that a reader passes, each with the events that were appended after it.
    var places: [(position: Position, rest: [Event])] {
        let events = probe.tailed.map(\.event)
        return ([probe.start] + probe.tailed.map(\.position)).enumerated().map { ($1, Array(events[$0...])) }
    }

    /// Appends events and tails them.
    @discardableResult
    mutating func append(_ events: [Event], once key: String? = nil) async throws -> [Position] {
        let positions = try await probe.append(events, once: key)
        try await follow(events)
        return positions
    }

    /// Tails events that were appended.
    mutating func follow(_ events: [Event]) async throws {
        accepted += events
        try await probe.follow(to: accepted.count)
    }

    /// Appends other events until some events are no longer in history, and runs a check before, after and in between.
    mutating func fill(
        untilRemoved events: [Event],
        _ body: (_ history: HistoryProbe, _ kept: Set<Event>) async throws -> Void = { _, _ in }
    ) async throws {
        for round in 0..<Self.mostRounds {
            let isDone = try await kept().isDisjoint(with: events)
            if isDone || round % 3 == 0 { try await check { [self] in try await body(self, $0) } }
            if isDone { return }
            try await append(Self.fillers.map { Event(topic: $0, data: "\(accepted.count) \(round)") })
            await Task.yield()
        }
        throw ContractViolation("\(accepted.count) events were appended, and history still starts with the first")
    }

    /// Runs a check that depends on the content of history, and repeats it if events are removed in the meantime.
    func check(_ body: (_ kept: Set<Event>) async throws -> Void) async throws {
        for _ in 0..<Self.mostLooks {
            let before = try await kept()
            let result: Result<Void, any Error>
            do { result = .success(try await body(before)) } catch { result = .failure(error) }
            if try await kept() == before { return try result.get() }
            await Task.yield()
        }
        throw ContractViolation("events are removed without end, although none are appended")
    }

    private func kept() async throws -> Set<Event> { Set(try await probe.read(nil, after: .earliest).events) }

    /// Reads from a place; a gap may come first.
    func read(
        _ selection: Selection?, after place: Position, through: Position? = nil, limit: SliceLimit = SliceLimit()
    ) async throws -> Reading {
        try await probe.read(selection, after: place, through: through, limit: limit, mayMissSomething: true)
    }
}

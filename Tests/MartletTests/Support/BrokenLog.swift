// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting

/// A log that does one thing wrong, to see that the contract suite finds out.
struct BrokenLog: Log {
    private let fault: BrokenLogFault
    private let log: MemoryLog<ManualClock>
    /// How many instances there were before, for those faults that show after a restart.
    private let life: Int

    init(_ fault: BrokenLogFault, keeping events: Int) {
        self.init(fault, on: MemoryLog(retention: fault.retention(of: events), clock: ManualClock()), life: 0)
    }

    /// Another instance on what the one before has left.
    init(_ fault: BrokenLogFault, on log: MemoryLog<ManualClock>, life: Int) {
        self.fault = fault
        self.log = log
        self.life = life
    }

    /// Whether the fault is this one, and shows in this life.
    private func has(_ fault: BrokenLogFault) -> Bool { self.fault == fault && (life > 0 || !fault.needsRestart) }

    func open() async throws -> Position {
        let end = try await log.open()
        // Nothing is known of an id that nobody has chosen, so it leads to the beginning.
        return has(.opensAtItsBeginning) ? try await log.resolve("", for: Selection(topics: ["news"])).position : end
    }

    func append(_ events: [Event], once key: String?) async throws -> [Position] {
        var key = has(.ignoresKeys) ? nil : key
        if has(.forgetsItsKeys) { key = key.map { "\($0) \(life)" } }
        var events = events
        if fault == .changesSpellings || fault == .takesAnySpelling {
            for index in events.indices where events[index].data == "e\u{301}" { events[index].data = "\u{E9}" }
        }
        let positions = try await log.append(events, once: key)
        return switch fault {
        case .forgetsAPosition: Array(positions.dropLast())
        case .hasOnePosition: positions.map { _ in positions[0] }
        default: positions
        }
    }

    func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        var (selection, through, limit) = (selection, through, limit)
        switch fault {
        case .showsPrivateEvents: selection = selection.map { Selection(selectors: $0.selectors, grants: [.every]) }
        case .readsPastTheEnd: through = try await log.open()
        case .ignoresTheLimit: limit = SliceLimit()
        default: break
        }
        var slice = try await log.read(selection, after: after, through: through, limit: limit)
        switch fault {
        case .losesAnEvent: slice.records = slice.records.dropLast()
        case .losesAnEventInARestart where life > 0: slice.records = Array(slice.records.dropFirst())
        case .repeatsAnEvent: slice.records.insert(contentsOf: slice.records.prefix(1), at: 0)
        case .changesAnEvent where !slice.records.isEmpty: slice.records[0].event.retry = 1
        case .reordersATopic:
            let events = slice.records.map(\.event)
            for index in events.indices { slice.records[index].event = events[events.count - index - 1] }
        case .endsASliceTooFar: slice.end = through
        case .claimsAGap: slice.gap = slice.end
        case .overtakesReadersInSilence: slice.gap = nil
        case .claimsAGapInWhatNobodyAsksFor where after != .earliest:
            slice.gap = try await log.read(nil, after: after, through: log.open(), limit: limit).gap.map { _ in after }
        default: break
        }
        return slice
    }

    func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        let nothing = Slice(records: [], end: after, isComplete: true)
        guard fault != .tailsNothing else { return nothing }
        do {
            var slice = try await log.tail(after: after, limit: limit)
            if has(.tailsInLeaps), slice.records.count > 10 { slice.records.removeFirst() }
            return slice
        } catch is CancellationError where fault == .swallowsCancellation {
            return nothing
        }
    }

    func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        var selection = selection
        switch fault {
        case .knowsIDsOfOthers: selection = Selection(selectors: [.every], grants: [.every])
        case .claimsAGapForQuietTopics: selection = Selection(selectors: [.every], grants: selection.grants)
        case .claimsAGapForPrivateEvents: selection = Selection(selectors: selection.selectors, grants: [.every])
        default: break
        }
        var resolution = try await log.resolve(id, for: selection)
        switch fault {
        case .believesAnyID: resolution.gap = nil
        case .believesARepeatedID where id == "again": resolution.gap = nil
        case .resolvesToTheTail: resolution.position = try await log.open()
        case .resolvesToTheBeginning: resolution.position = .earliest
        case .keepsQuietAboutGaps where resolution.gap == .trimmed: resolution.gap = nil
        case .forgetsItsGaps where resolution.gap == .trimmed && life > 0: resolution.gap = nil
        case .forgetsItsPlaces where life > 0: resolution = Resolution(position: .earliest, gap: .epoch)
        case .missesSomethingAfterTheEarliest where id == "earliest": resolution.gap = .trimmed
        default: break
        }
        return resolution
    }

    func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        if fault == .ignoresTime { return Resolution(position: try await log.open()) }
        let resolution = try await log.resolve(since: age, for: selection)
        return fault == .keepsQuietAboutTimes ? Resolution(position: resolution.position) : resolution
    }

    func covers(_ a: Position, _ b: Position) -> Bool {
        if has(.ordersOneLifeOnly) { return a == b || b == .earliest }
        return fault == .coversEverything || log.covers(a, b)
    }
}

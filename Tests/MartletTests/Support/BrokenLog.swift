// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting

/// A log that does one thing wrong, to see that the contract suite finds out.
struct BrokenLog: Log {
    enum Fault: CaseIterable {
        case losesAnEvent
        case repeatsAnEvent
        case changesAnEvent
        case reordersATopic
        case showsPrivateEvents
        case ignoresTheLimit
        case readsPastTheEnd
        case endsASliceTooFar
        case claimsAGap
        case hasUnsafePositions
        case coversEverything
        case forgetsAPosition
        case resolvesToTheTail
        case resolvesToTheBeginning
        case believesAnyID
        case tailsNothing
        case swallowsCancellation
        case ignoresKeys
        case ignoresTime

        /// The check that finds out.
        var check: String {
            switch self {
            case .losesAnEvent, .repeatsAnEvent, .changesAnEvent, .reordersATopic:
                "Reading from the earliest gives every event as it was accepted, each topic in order"
            case .showsPrivateEvents: "A selection gives its topics, and private events only where it includes them"
            case .ignoresTheLimit, .endsASliceTooFar:
                "Reading in slices of any size gives the same as reading at once"
            case .readsPastTheEnd: "Reading up to a position gives everything up to there and nothing behind it"
            case .claimsAGap: "An empty log is read to its end at once"
            case .hasUnsafePositions: "Positions are short, safe in a header, and all different"
            case .coversEverything: "A position covers itself and everything before it, and nothing behind it"
            case .forgetsAPosition: "Appending no events does nothing"
            case .resolvesToTheTail: "Who goes on from any event that he has read gets exactly the rest"
            case .resolvesToTheBeginning: "A publisher's id stands behind its earliest occurrence"
            case .believesAnyID: "An unknown id is a gap, and all of history follows"
            case .tailsNothing: "The tail waits until there is something"
            case .ignoresKeys: "Events with a key are accepted once, and always answered as the first time"
            case .ignoresTime: "Who asks for what is not older than a day gets everything that came just now"
            case .swallowsCancellation: "A cancelled tail ends with CancellationError, and loses nothing"
            }
        }
    }

    private let fault: Fault
    private let log = MemoryLog(clock: ManualClock())

    init(_ fault: Fault) { self.fault = fault }

    func open() async throws -> Position {
        try await log.open()
    }

    func append(_ events: [Event], once key: String?) async throws -> [Position] {
        let positions = try await log.append(events, once: fault == .ignoresKeys ? nil : key)
        return switch fault {
        case .forgetsAPosition: Array(positions.dropLast())
        case .hasUnsafePositions: positions.map { Position("(\($0))") }
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
        case .repeatsAnEvent: slice.records.insert(contentsOf: slice.records.prefix(1), at: 0)
        case .changesAnEvent where !slice.records.isEmpty: slice.records[0].event.retry = 1
        case .reordersATopic:
            let events = slice.records.map(\.event)
            for index in events.indices { slice.records[index].event = events[events.count - index - 1] }
        case .endsASliceTooFar: slice.end = through
        case .claimsAGap: slice.gap = slice.end
        default: break
        }
        return slice
    }

    func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        let nothing = Slice(records: [], end: after, isComplete: true)
        guard fault != .tailsNothing else { return nothing }
        do {
            return try await log.tail(after: after, limit: limit)
        } catch is CancellationError where fault == .swallowsCancellation {
            return nothing
        }
    }

    func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        var resolution = try await log.resolve(id, for: selection)
        switch fault {
        case .believesAnyID: resolution.gap = nil
        case .resolvesToTheTail: resolution.position = try await log.open()
        case .resolvesToTheBeginning: resolution.position = .earliest
        default: break
        }
        return resolution
    }

    func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        if fault == .ignoresTime { return Resolution(position: try await log.open()) }
        return try await log.resolve(since: age, for: selection)
    }

    func covers(_ a: Position, _ b: Position) -> Bool { fault == .coversEverything || log.covers(a, b) }
}

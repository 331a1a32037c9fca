// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// History that outlives an instance.
extension LogContract {
    static func restartChecks(_ ending: RestartableLog.Ending) -> [Check<RestartableLog>] {
        let end = ending.rawValue
        return restartedTextChecks(ending) + [
            Check("Accepted events are there after \(end), once and in order, and new ones follow them") {
                try await appendInManyLives($0, ending)
            },
            Check("A reader resumes exactly from every place and id from before \(end)") {
                try await resumeInOtherLives($0, ending)
            },
            Check("Every place after \(end) covers all places from before") { subject in
                var probe = try await LogProbe(opening: subject.make(), with: SampleEvents.mixed)
                for _ in 0..<2 {
                    let before = probe.end
                    probe = try await LogProbe(opening: subject.restart(probe.log, by: ending), after: probe)
                    try require(
                        probe.log.covers(probe.end, before),
                        "the log opened at \(probe.end), which does not cover \(before)")
                    try await probe.append(SampleEvents.mixed)
                    try await probe.follow(to: probe.tailed.count + SampleEvents.mixed.count)
                }
                let places = [.earliest, probe.start] + probe.tailed.map(\.position)
                try require(Set(places).count == places.count, "a position was used again after a restart")
                for (a, first) in places.enumerated() {
                    for (b, second) in places.enumerated() {
                        let says = probe.log.covers(first, second)
                        try require(says == (a >= b), "it is \(says) that \(first) covers \(second)")
                    }
                }
            },
            Check("Keys from before \(end) are known after it") { subject in
                var probe = try await LogProbe(opening: subject.make())
                var answers: [[Position]] = []
                for life in 0..<3 {
                    answers.append(try await probe.append(SampleEvents.numbered(0..<3), once: "key \(life)"))
                    probe = try await LogProbe(opening: subject.restart(probe.log, by: ending), after: probe)
                    for (earlier, answer) in answers.enumerated() {
                        let again = try await probe.append(SampleEvents.numbered(0..<3), once: "key \(earlier)")
                        try require(again == answer, "a retry after a restart got \(again) in place of \(answer)")
                        try await requireReuse(of: "key \(earlier)", in: probe.log, with: SampleEvents.numbered(1..<4))
                    }
                }
                let read = try await probe.read(nil, after: .earliest)
                let accepted = Array(repeatElement(SampleEvents.numbered(0..<3), count: 3).joined())
                try require(read.events, are: accepted, "reading after retries with keys")
            },
            Check("A reader that missed events removed before \(end) receives a gap after it", keeping: 30) { subject in
                var history = try await HistoryProbe(opening: subject.make(), with: SampleEvents.history)
                for number in [3, 12, SampleEvents.history.count] {
                    let removed = Array(SampleEvents.history.prefix(number))
                    try await history.fill(untilRemoved: removed) { history, kept in
                        try await checkResuming(history, kept: kept, mayForgetTopics: ending == .crash)
                    }
                    history = try await HistoryProbe(
                        opening: subject.restart(history.log, by: ending), after: history)
                    try await history.check { [history] kept in
                        try await checkResuming(history, kept: kept, mayForgetTopics: ending == .crash)
                    }
                }
            },
        ]
    }

    private static func appendInManyLives(_ subject: RestartableLog, _ ending: RestartableLog.Ending) async throws {
        var probe = try await LogProbe(opening: subject.make())
        var accepted: [Event] = []
        for life in 0..<4 {
            // First with an empty log; later not tailed, or not to the end.
            if life > 0 {
                let events = SampleEvents.mixed[8 * (life - 1)..<8 * life]
                for event in events { try await probe.append([event]) }
                accepted += events
            }
            if life == 1 { try await probe.follow(to: accepted.count) }
            if life == 2 { _ = try await probe.followSlice(limit: SliceLimit(events: 2)) }
            probe = try await LogProbe(opening: subject.restart(probe.log, by: ending), after: probe)
            for place in [.earliest, probe.start] {
                let read = try await probe.read(nil, after: place)
                try require(read.events, are: accepted, "reading up to the end of the log")
            }
        }
        let end = probe.end
        try await probe.append(SampleEvents.numbered(0..<2))
        let tailed = try await probe.tail(after: end, count: 2)
        try require(tailed.events, are: SampleEvents.numbered(0..<2), "tailing from the end at which the log opened")
    }

    private static func resumeInOtherLives(_ subject: RestartableLog, _ ending: RestartableLog.Ending) async throws {
        var probe = try await LogProbe(opening: subject.make(), with: SampleEvents.mixed)
        let read = try await probe.read(nil, after: .earliest, limit: SliceLimit(events: 3))
        var places: [(position: Position, rest: [Event])] = [(probe.start, SampleEvents.mixed)]
        for records in [probe.tailed, read.records] {
            places += records.enumerated().map { ($1.position, records[($0 + 1)...].map(\.event)) }
        }
        places += read.sliceEnds.enumerated().map { ($1, Array(read.events.dropFirst(3 * ($0 + 1)))) }

        for life in 0..<2 {
            probe = try await LogProbe(opening: subject.restart(probe.log, by: ending), after: probe)
            let before = probe.tailed.count
            let new = SampleEvents.topics.prefix(2).flatMap { SampleEvents.numbered(10 * life..<10 * life + 3, $0) }
            for event in new { try await probe.append([event]) }
            try await probe.follow(to: before + new.count)
            for index in places.indices { places[index].rest += new }
            for (number, record) in probe.tailed.enumerated().dropFirst(before) {
                places.append((record.position, probe.tailed[(number + 1)...].map(\.event)))
            }
            for (place, rest) in places {
                for selection in SampleEvents.selections {
                    let resumed = try await probe.resume(after: place.text, selection).events
                    try require(resumed, are: rest.filter(selection.contains), "resuming after \(place)")
                }
                let tailed = try await probe.tail(after: place, count: rest.count)
                try require(tailed.events, are: rest, "tailing after \(place)")
            }
            let accepted = SampleEvents.mixed + probe.tailed[SampleEvents.mixed.count...].map(\.event)
            for (number, event) in SampleEvents.mixed.enumerated() {
                guard let id = event.id else { continue }
                let resumed = try await probe.resume(after: id, SampleEvents.selection).events
                try require(resumed, follow: number, of: accepted, "resuming after \(id)")
            }
        }
    }
}

/// A log whose history outlives its instances, such as a log in a file or on a server.
///
///     try await check.run {
///         let file = try TemporaryFile()
///         return RestartableLog { MyLog(file, keeping: check.events) }
///     }
public struct RestartableLog: Sendable {
    let make: @Sendable () async throws -> any Log
    let crash: @Sendable () async throws -> Void

    /// - Parameters:
    ///   - make: Makes an instance, not opened yet, on the history that the previous one has left.
    ///   - crash: Called in place of ``/Martlet/Log/close()``, while the instance still exists; no call to the instance
    ///     follows. If an instance cleans up when it is released, this must preserve what a crash would leave, for
    ///     example by copying the file so that the next instance opens the copy.
    public init(
        _ make: @escaping @Sendable () async throws -> any Log, crash: @escaping @Sendable () async throws -> Void = {}
    ) {
        self.make = make
        self.crash = crash
    }

    /// The end of an instance.
    enum Ending: String, CaseIterable, Sendable {
        case close = "a clean close"
        case crash = "a crash"
    }

    /// Ends an instance and makes the next one.
    func restart(_ log: any Log, by ending: Ending) async throws -> any Log {
        switch ending {
        case .close: await log.close()
        case .crash: try await crash()
        }
        return try await make()
    }
}

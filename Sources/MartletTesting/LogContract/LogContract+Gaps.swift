// SPDX-License-Identifier: Apache-2.0

import Martlet

/// Readers that missed removed events receive a gap, and no others do.
extension LogContract {
    static let gapChecks: [Check<any Log>] = [
        Check("A reader that resumes is told of removed events that it missed, and of nothing else", keeping: 30) {
            log in
            var history = try await HistoryProbe(opening: log, with: SampleEvents.history)
            try await history.fill(untilRemoved: SampleEvents.history) { try await checkResuming($0, kept: $1) }
        },
        Check(
            "A reader that is overtaken is told once how far events are missing, and no other reader is", keeping: 30
        ) { log in
            var history = try await HistoryProbe(opening: log, with: SampleEvents.history)
            try await history.fill(untilRemoved: SampleEvents.history) { history, kept in
                for (place, rest) in history.places.prefix(SampleEvents.history.count + 1) {
                    for selection in SampleEvents.selections {
                        for limit in [SliceLimit(), SliceLimit(events: 1)] {
                            let read = try await history.read(selection, after: place, limit: limit)
                            let left = rest.filter { selection.contains($0) && kept.contains($0) }
                            try require(read.events, are: left, "reading after \(place)")
                            let misses = rest.contains { selection.contains($0) && !kept.contains($0) }
                            try require(
                                (read.gap != nil) == misses,
                                "a reader at \(place) misses \(misses ? "events" : "nothing"), and is told "
                                    + (read.gap.map { "of a gap up to \($0)" } ?? "nothing"))
                            guard let gap = read.gap else { continue }
                            let again = try await history.probe.read(selection, after: gap, limit: limit)
                            try require(again.events, are: left, "reading after the gap up to \(gap)")
                        }
                    }
                }
            }
        },
        Check("A reader receives no gap that begins after its end", keeping: 30) { log in
            var history = try await HistoryProbe(opening: log, with: SampleEvents.history)
            let sample = SampleEvents.history.count
            try await history.fill(untilRemoved: SampleEvents.history) { history, kept in
                for (number, (place, rest)) in history.places.prefix(sample + 1).enumerated() {
                    for (count, through) in history.places[number...sample].map(\.position).enumerated() {
                        let read = try await history.read(nil, after: place, through: through)
                        let wanted = rest.prefix(count)
                        try require(
                            read.events, are: wanted.filter(kept.contains), "reading from \(place) to \(through)")
                        try require(
                            (read.gap != nil) == !wanted.allSatisfy(kept.contains),
                            "from \(place) to \(through) there is \(read.gap.map { "a gap up to \($0)" } ?? "no gap")")
                    }
                }
            }
        },
        Check("A quiet topic has no gap when events of other topics are removed", keeping: 20) { log in
            var history = try await HistoryProbe(opening: log)
            let (quiet, silent) = (Selection(topics: ["quiet"]), Selection(topics: ["silent"]))
            let first = Event(topic: "quiet", data: "first")
            try await history.append(SampleEvents.numbered(0..<1) + [first])
            let place = history.probe.end
            try await history.fill(untilRemoved: [first])
            for round in 0..<3 {
                try await history.check { kept in
                    for (selection, place) in [(quiet, place), (silent, place), (silent, history.probe.start)] {
                        let resolution = try await log.resolve(place.text, for: selection)
                        try require(
                            resolution.gap == nil, "there is \(resolution.gapText), although nothing is missing")
                        let rest = try await history.probe.read(selection, after: resolution.position)
                        try require(rest.events, are: [], "reading a quiet topic")
                    }
                    let resolution = try await log.resolve(history.probe.start.text, for: quiet)
                    try require(
                        resolution.gap != nil, "there is no gap, although the only event of a topic was removed")
                }
                try await history.append(SampleEvents.numbered(20 * round + 1..<20 * (round + 1)))
            }
            let second = Event(topic: "quiet", data: "second")
            try await history.append([second])
            try await history.check { _ in
                let rest = try await history.probe.resume(after: place.text, quiet)
                try require(rest.events, are: [second], "resuming a topic that was quiet")
            }
        },
        Check("The earliest position never has a gap", keeping: 20) { log in
            var history = try await HistoryProbe(opening: log, with: SampleEvents.history)
            try await history.fill(untilRemoved: SampleEvents.history) { history, kept in
                for selection in SampleEvents.selections {
                    let resolution = try await log.resolve("earliest", for: selection)
                    try require(
                        resolution == Resolution(position: .earliest), "earliest resolves to \(resolution.position)")
                    let read = try await history.probe.read(selection, after: .earliest, limit: SliceLimit(events: 3))
                    let left = history.accepted.filter { selection.contains($0) && kept.contains($0) }
                    try require(read.events, are: left, "reading from the earliest")
                    for (number, record) in read.records.enumerated() {
                        let resolution = try await log.resolve(record.position.text, for: selection)
                        try require(resolution.gap == nil, "\(record.position) was just read, and resolves with a gap")
                        let rest = try await history.probe.read(selection, after: resolution.position)
                        let expected = read.events[(number + 1)...]
                        try require(rest.events, are: Array(expected), "resuming after \(record.position)")
                    }
                }
            }
        },
        Check("A tail that falls behind gives every event or reports a gap", keeping: 10) { log in
            var probe = try await LogProbe(opening: log)
            let fillers = (0..<40).flatMap { number in
                HistoryProbe.fillers.map { Event(topic: $0, data: "\(number)") }
            }
            for round in 0..<5 {
                let events = fillers[16 * round..<16 * (round + 1)]
                for event in events { try await probe.append([event]) }
                var (seen, isTold): ([Event], Bool) = ([], false)
                while !Set(seen).isSuperset(of: events.suffix(HistoryProbe.fillers.count)) {
                    let slice = try await probe.followSlice()
                    isTold = isTold || slice.gap != nil
                    seen += slice.records.map(\.event)
                }
                let misses = seen.count < events.count
                try require(isTold == misses, "the tail gave \(seen.count) of \(events.count) events, told: \(isTold)")
                for filler in HistoryProbe.fillers {
                    let own = seen.filter { $0.topic == filler }
                    let expected = events.filter { $0.topic == filler }.suffix(own.count)
                    try require(own == Array(expected), "the tail gave an event and left out a newer one")
                }
            }
        },
        Check("Readers that are overtaken while they read lose no event without a gap", keeping: 30) { log in
            try await readWhileAppending(to: [log], rounds: 100, mayMissSomething: true)
        },
    ]

    /// Resumes after every place among the first events, for every selection.
    ///
    /// - Parameter mayForgetTopics: Whether the log may have forgotten which topics have no removed events. It may then
    ///   report a gap to every reader that stands before a removed event.
    static func checkResuming(
        _ history: HistoryProbe, kept: Set<Event>, _ events: [Event] = SampleEvents.history,
        _ selections: [Selection] = SampleEvents.selections, mayForgetTopics: Bool = false
    ) async throws {
        for (place, rest) in history.places.prefix(events.count + 1) {
            for selection in selections {
                let selected = rest.filter(selection.contains)
                let left = selected.filter(kept.contains)
                let resolution = try await history.log.resolve(place.text, for: selection)
                let mayBeTold = left != selected || (mayForgetTopics && !rest.allSatisfy(kept.contains))
                try require(
                    resolution.gap == nil ? left == selected : resolution.gap == .trimmed && mayBeTold,
                    "\(left.count) of \(selected.count) events after \(place) are left, and there is "
                        + resolution.gapText)
                let read = try await history.probe.read(selection, after: resolution.position)
                try require(read.events, are: left, "resuming after \(place)")
                guard resolution.gap != nil else { continue }
                let again = try await history.log.resolve(resolution.position.text, for: selection)
                try require(again.gap == nil, "the position \(resolution.position) behind a gap has a gap again")
            }
        }
    }
}

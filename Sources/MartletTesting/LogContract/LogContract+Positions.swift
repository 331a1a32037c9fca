// SPDX-License-Identifier: Apache-2.0

import Martlet

extension LogContract {
    static let positionChecks: [Check<any Log>] = [
        Check("Positions are all different") { log in
            var probe = try await LogProbe(opening: log)
            let appended = try await probe.append(SampleEvents.mixed)
            try await probe.follow(to: SampleEvents.mixed.count, limit: SliceLimit(events: 5))
            let read = try await probe.read(nil, after: .earliest, limit: SliceLimit(events: 5))
            let places = [probe.start] + probe.tailed.map(\.position)
            for position in appended + places + read.records.map(\.position) + read.sliceEnds {
                try require(position != .earliest, "a place in the log has the position \(position)")
            }
            try require(Set(places).count == places.count, "the tail has one position for different places")
            try require(Set(appended).count == appended.count, "append gave one position for different events")
        },
        Check("A position covers itself and earlier ones, and no later one") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            let read = try await probe.read(nil, after: probe.start)
            for records in [probe.tailed, read.records] {
                let places = [.earliest, probe.start] + records.map(\.position)
                for (a, first) in places.enumerated() {
                    for (b, second) in places.enumerated() {
                        let says = log.covers(first, second)
                        try require(says == (a >= b), "it is \(says) that \(first) covers \(second)")
                    }
                }
            }
        },
    ]
}

extension LogContract {
    static let foreignChecks: [Check<[any Log]>] = [
        Check("A position of another log is a gap, and all of history follows") { logs in
            try require(logs.count == 2, "the check needs two logs, and got \(logs.count)")
            let own = try await LogProbe(opening: logs[0])
            let other = try await LogProbe(opening: logs[1], with: SampleEvents.mixed)
            try await checkForeign(other, in: own)
            let full = try await LogProbe(opening: own.log, with: SampleEvents.mixed)
            try await checkForeign(other, in: full)
            try await checkForeign(full, in: other)
        }
    ]

    private static func checkForeign(_ other: LogProbe, in probe: LogProbe) async throws {
        for place in [other.start] + other.tailed.map(\.position) {
            for selection in SampleEvents.selections {
                let resolution = try await probe.log.resolve(place.text, for: selection)
                try require(
                    resolution.gap == .epoch || resolution.gap == .unknown,
                    "\(place) of another log resolves with \(resolution.gapText)")
                let read = try await probe.read(selection, after: resolution.position)
                let expected = probe.tailed.map(\.event).filter(selection.contains)
                try require(read.events, are: expected, "resuming after \(place) of another log")
            }
        }
    }
}

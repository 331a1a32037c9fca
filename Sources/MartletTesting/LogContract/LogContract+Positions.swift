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
                try require(position != .earliest, "a place in the log is called \(position)")
            }
            try require(Set(places).count == places.count, "the tail has one position for different places")
            try require(Set(appended).count == appended.count, "append gave one position for different events")
        },
        Check("A position covers itself and everything before it, and nothing behind it") { log in
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

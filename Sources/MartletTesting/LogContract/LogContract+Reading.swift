// SPDX-License-Identifier: Apache-2.0

import Martlet

extension LogContract {
    static let readingChecks: [Check<any Log>] = [
        Check("Reading an empty log is complete at once") { log in
            let probe = try await LogProbe(opening: log)
            for place in [.earliest, probe.start] {
                let records = try await probe.read(nil, after: place).records
                try require(records.isEmpty, "an empty log gave \(records.count) events")
            }
        },
        Check("Reading from the earliest gives every event as it was accepted, each topic in order") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            for place in [.earliest, probe.start] {
                let read = try await probe.read(nil, after: place)
                try require(read.events, are: SampleEvents.mixed, "reading after \(place)")
                for event in read.events {
                    // Equal texts may have different bytes.
                    let bytes = SampleEvents.mixed.first { $0 == event }?.data.utf8
                    try require(bytes?.elementsEqual(event.data.utf8) == true, "the bytes of the data have changed")
                }
            }
        },
        Check("Reading in slices of any size gives the same as reading at once") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            let bytes = SampleEvents.mixed.reduce(0) { $0 + $1.byteCount }
            let limits =
                (1...SampleEvents.mixed.count + 1).map { SliceLimit(events: $0) }
                + stride(from: 1, to: bytes + 100, by: 100).map { SliceLimit(bytes: $0) }
            for selection in [nil] + SampleEvents.selections {
                let whole = try await probe.read(selection, after: .earliest).records
                for limit in limits {
                    let sliced = try await probe.read(selection, after: .earliest, limit: limit).records
                    try require(sliced == whole, "slices of \(limit) give other records than one read")
                }
            }
        },
        Check("A slice has at least one event, even if that is larger than the slice") { log in
            let events = [1000, 0, 2000, 3000].map { Event(topic: "news", data: String(repeating: "x", count: $0)) }
            var probe = try await LogProbe(opening: log, with: events)
            let limit = SliceLimit(bytes: 10)
            let read = try await probe.read(nil, after: .earliest, limit: limit)
            try require(read.events, are: events, "reading slices of 10 bytes")
            try await probe.append(events)
            try await probe.follow(to: 2 * events.count, limit: limit)
            try require(probe.tailed.map(\.event), are: events + events, "tailing slices of 10 bytes")
        },
        Check("A selection gives its topics, and private events only if it includes them") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            for selection in SampleEvents.selections {
                let read = try await probe.read(selection, after: .earliest, limit: SliceLimit(events: 3))
                let expected = SampleEvents.mixed.filter(selection.contains)
                try require(read.events, are: expected, "reading \(selection.selectors)")
            }
        },
        Check("Reading up to a position gives every event up to there and no later one") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            for records in [probe.tailed, try await probe.read(nil, after: probe.start).records] {
                for (number, record) in records.enumerated() {
                    let earlier = records[...number].map(\.event)
                    for place in [.earliest, probe.start] {
                        let read = try await probe.read(
                            nil, after: place, through: record.position, limit: SliceLimit(events: 5)
                        )
                        try require(read.events, are: earlier, "reading after \(place) through \(record.position)")
                    }
                    let none = try await probe.read(nil, after: record.position, through: record.position)
                    try require(none.records.isEmpty, "reading after and through \(record.position) gives events")
                }
            }
        },
    ]
}

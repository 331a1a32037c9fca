// SPDX-License-Identifier: Apache-2.0

import Martlet

extension LogContract {
    static let tailChecks: [Check<any Log>] = [
        Check("The tail gives every event since the log was opened once, each topic in order") {
            log in
            var probe = try await LogProbe(opening: log)
            for (round, limit) in [SliceLimit(), SliceLimit(events: 1), SliceLimit(bytes: 500)].enumerated() {
                let before = probe.tailed.count
                try await probe.append(SampleEvents.mixed)
                try await probe.follow(to: before + SampleEvents.mixed.count, limit: limit)
                let tailed = probe.tailed[before...].map(\.event)
                try require(tailed, are: SampleEvents.mixed, "tailing slices of \(limit)")
                // Any surplus event of the tail would come before this one.
                let last = Event(topic: "other", data: "\(round)")
                try await probe.append([last])
                try await probe.follow(to: before + SampleEvents.mixed.count + 1)
                try require(probe.tailed.last?.event == last, "the tail gives more than was appended")
            }
        },
        Check("The tail waits for an event") { log in
            var probe = try await LogProbe(opening: log)
            for number in 0..<20 {
                let before = probe
                async let tailed = before.tail(after: before.end, count: 1)
                for _ in 0..<number { await Task.yield() }
                let event = Event(topic: "news", data: "\(number)")
                try await probe.append([event])
                try require(try await tailed.events == [event], "the tail gave another event than was appended")
                try await probe.follow(to: number + 1)
            }
        },
        Check("A cancelled tail throws CancellationError and loses no event") { log in
            var probe = try await LogProbe(opening: log)
            for yields in 0..<20 {
                let end = probe.end
                let error = await withTaskGroup(of: (any Error)?.self) { group in
                    group.addTask {
                        do {
                            _ = try await log.tail(after: end, limit: SliceLimit())
                            return nil
                        } catch { return error }
                    }
                    for _ in 0..<yields { await Task.yield() }
                    group.cancelAll()
                    return await group.next() ?? nil
                }
                try require(
                    error is CancellationError, "tail ended with \(error.map { "\($0)" } ?? "an empty slice")"
                )
                try await probe.append(SampleEvents.numbered(yields..<yields + 1))
                try await probe.follow(to: yields + 1)
            }
            let expected = SampleEvents.numbered(0..<20)
            try require(probe.tailed.map(\.event), are: expected, "tailing after being cancelled")
        },
        Check("The tail can start again from each of its positions") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            for (number, record) in probe.tailed.enumerated() {
                let rest = probe.tailed[(number + 1)...].map(\.event)
                let again = try await probe.tail(
                    after: record.position, count: rest.count, limit: SliceLimit(events: 5)
                )
                try require(again.events, are: rest, "tailing again after \(record.position)")
            }
            for place in [.earliest, probe.start] {
                let all = try await probe.tail(after: place, count: SampleEvents.mixed.count)
                try require(all.events, are: SampleEvents.mixed, "tailing again after \(place)")
            }
        },
    ]
}

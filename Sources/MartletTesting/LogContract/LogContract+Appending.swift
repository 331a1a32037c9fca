// SPDX-License-Identifier: Apache-2.0

import Martlet

extension LogContract {
    static let appendingChecks: [Check<any Log>] = [
        Check("Appending no events does nothing") { log in
            var probe = try await LogProbe(opening: log)
            try await probe.append([])
            try await probe.append(SampleEvents.numbered(0..<1))
            try await probe.append([])
            try await probe.follow(to: 1)
            try require(probe.tailed.map(\.event), are: SampleEvents.numbered(0..<1), "tailing")
        },
        Check("Reading up to a position from append includes every event of the same append") { log in
            let probe = try await LogProbe(opening: log)
            var accepted: [Event] = []
            for round in 0..<5 {
                let events = SampleEvents.numbered(10 * round..<10 * (round + 1), SampleEvents.topics[round % 2])
                let positions = try await probe.append(events)
                accepted += events
                for (number, position) in positions.enumerated() {
                    let selection = Selection(topics: [events[number].topic])
                    let read = try await probe.read(selection, after: .earliest, through: position).events
                    let expected = accepted.dropLast(9 - number).filter(selection.contains)
                    try require(read, are: expected, "reading up to \(position), which append returned")
                }
            }
        },
        Check("Events with a key are accepted once, and every retry gets the first answer") { log in
            var probe = try await LogProbe(opening: log)
            let batches = stride(from: 0, to: 12, by: 3).map { Array(SampleEvents.mixed[$0..<$0 + 3]) }
            var answers: [[Position]] = []
            for (number, batch) in batches.enumerated() {
                answers.append(try await log.append(batch, once: "key \(number)"))
                for (earlier, batch) in batches[...number].enumerated() {
                    let again = try await log.append(batch, once: "key \(earlier)")
                    try require(again == answers[earlier], "a retry got \(again) in place of \(answers[earlier])")
                }
            }
            _ = try await log.append(batches[0], once: nil)
            _ = try await log.append(batches[0], once: "other key")
            let accepted = batches.joined() + batches[0] + batches[0]
            try await probe.follow(to: accepted.count)
            try require(probe.tailed.map(\.event), are: Array(accepted), "tailing after retries with a key")
            let read = try await probe.read(nil, after: .earliest)
            try require(read.events, are: Array(accepted), "reading after retries with a key")
        },
        Check("A key with other events is refused, and nothing is accepted") { log in
            var probe = try await LogProbe(opening: log)
            let events = SampleEvents.numbered(0..<3)
            let answer = try await log.append(events, once: "key")
            for others in [SampleEvents.numbered(0..<2), SampleEvents.numbered(0..<4), SampleEvents.numbered(1..<4)] {
                try await requireReuse(of: "key", in: log, with: others)
            }
            try require(try await log.append(events, once: "key") == answer, "the key was forgotten")
            // Keys are compared as bytes.
            for key in ["\u{E9}", "e\u{301}", "KEY"] { _ = try await log.append(events, once: key) }
            try await probe.follow(to: 12)
            let accepted = Array(repeatElement(events, count: 4).joined())
            try require(probe.tailed.map(\.event), are: accepted, "tailing after a key came with other events")
        },
        Check("Concurrent appends with the same key all get one answer") { log in
            var probe = try await LogProbe(opening: log)
            let answers = try await withThrowingTaskGroup(of: [Position].self) { group in
                for _ in 0..<20 {
                    group.addTask { try await log.append(SampleEvents.numbered(0..<2), once: "key") }
                }
                return try await group.reduce(into: Set<[Position]>()) { $0.insert($1) }
            }
            try require(answers.count == 1, "one key got the answers \(answers)")
            _ = try await log.append(SampleEvents.numbered(2..<3), once: nil)
            try await probe.follow(to: 3)
            try require(probe.tailed.map(\.event), are: SampleEvents.numbered(0..<3), "tailing")
        },
        Check("A key that comes again in another trace, or in none, is the same publish") { log in
            var probe = try await LogProbe(opening: log)
            let events = SampleEvents.numbered(0..<2)
            let first = try await log.append(SampleEvents.traced(events, 1), once: "key")
            for again in [SampleEvents.traced(events, 2), events, SampleEvents.traced(events, 3)] {
                let answer = try await log.append(again, once: "key")
                try require(answer == first, "the key got \(answer), and before \(first)")
            }
            try await probe.follow(to: 2)
            try require(probe.tailed.map(\.event), are: SampleEvents.traced(events, 1), "tailing")
        },
        Check("Concurrent appends are accepted once each, and in the order of each task") { log in
            try await appendAtOnce(to: [log])
        },
    ]

    /// Throws unless the log refuses a key with other events than its own.
    static func requireReuse(of key: String, in log: any Log, with others: [Event]) async throws {
        do {
            let answer = try await log.append(others, once: key)
            throw ContractViolation("a key with other events was accepted: \(answer)")
        } catch let error as MartletError where error.code == .keyReused {}
    }

    /// Appends from several tasks through all nodes while all nodes tail, and compares the results.
    static func appendAtOnce(to nodes: [any Log]) async throws {
        let tasks = (0..<8).map { task in
            (0..<10).map { batch in
                (3 * batch..<3 * batch + 3).map { number in
                    // Two events of one topic and one of another.
                    let topic = SampleEvents.topics[(task + number % 3 / 2) % SampleEvents.topics.count]
                    return Event(topic: topic, data: "\(number)", key: "task \(task)")
                }
            }
        }
        let count = tasks.joined().joined().count
        var probes: [LogProbe] = []
        for node in nodes { probes.append(try await LogProbe(opening: node)) }
        let followed = try await withThrowingTaskGroup(of: LogProbe?.self) { group in
            for probe in probes {
                group.addTask {
                    var probe = probe
                    try await probe.follow(to: count, limit: SliceLimit(events: 7))
                    return probe
                }
            }
            for (number, batches) in tasks.enumerated() {
                let probe = probes[number % probes.count]
                group.addTask {
                    for batch in batches { try await probe.append(batch) }
                    return nil
                }
            }
            return try await group.reduce(into: []) { $0 += $1.map { [$0] } ?? [] }
        }
        for probe in followed {
            let read = try await probe.read(nil, after: .earliest)
            for events in [probe.tailed.map(\.event), read.events] {
                try require(events.count == count, "\(events.count) of \(count) events came")
                for (number, batches) in tasks.enumerated() {
                    let own = events.filter { $0.key == "task \(number)" }
                    try require(own, are: Array(batches.joined()), "task \(number)")
                }
            }
        }
    }
}

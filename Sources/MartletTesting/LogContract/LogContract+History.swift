// SPDX-License-Identifier: Apache-2.0

import Martlet

/// The content of history while events are removed, with their ids, keys and times.
extension LogContract {
    static let historyChecks: [Check<any Log>] = [
        Check("History holds the newest events, and the oldest are removed for good", keeping: 20) { log in
            var history = try await HistoryProbe(opening: log, with: SampleEvents.history)
            var removed: Set<Event> = []
            try await history.fill(untilRemoved: SampleEvents.history) { history, kept in
                let newest = history.accepted.suffix(20)
                try require(kept.isSuperset(of: newest), "some of the newest \(newest.count) events are removed")
                try require(kept.isDisjoint(with: removed), "a removed event is back")
                removed = Set(history.accepted).subtracting(kept)
                for topic in SampleEvents.topics + HistoryProbe.fillers {
                    let all = history.accepted.filter { $0.topic == topic }
                    let left = all.filter(kept.contains)
                    try require(left == all.suffix(left.count), "an event of \(topic) was removed before an older one")
                }
                for size in 1...3 {
                    let read = try await history.probe.read(nil, after: .earliest, limit: SliceLimit(events: size))
                    let left = history.accepted.filter(kept.contains)
                    try require(read.events, are: left, "reading history in slices of \(size)")
                }
            }
        },
        Check("A publisher's id is known while its event is in history, and unknown afterwards", keeping: 30) {
            log in
            var history = try await HistoryProbe(opening: log, with: SampleEvents.named)
            try await history.fill(untilRemoved: SampleEvents.named) { history, kept in
                for (number, event) in SampleEvents.named.enumerated() {
                    let selection = Selection(topics: [event.topic])
                    let resolution = try await log.resolve("chosen:\(number)", for: selection)
                    let isGone = !kept.contains(event)
                    try require(
                        (resolution.gap != nil) == isGone,
                        "\(number) is \(isGone ? "removed" : "in history"), and its id has \(resolution.gapText)")
                    let rest = try await history.probe.read(selection, after: resolution.position)
                    let later = isGone ? SampleEvents.named[...] : SampleEvents.named[(number + 1)...]
                    let expected = later.filter { kept.contains($0) && selection.contains($0) }
                    try require(rest.events, are: expected, "resuming after the id of \(number)")
                }
            }
        },
        Check("A repeated id has a gap once one of its events was removed", keeping: 10) { log in
            var history = try await HistoryProbe(opening: log)
            let selection = Selection(topics: ["news"])
            try await history.append([Event(topic: "news", data: "first", id: "again")])
            for number in 0... {
                // The newest is always in history.
                try await history.append([Event(topic: "news", data: "\(number)", id: "again")])
                var isRemoved = false
                try await history.check { kept in
                    isRemoved = !kept.contains { $0.data == "first" }
                    let resolution = try await log.resolve("again", for: selection)
                    try require((resolution.gap != nil) == isRemoved, "a repeated id has \(resolution.gapText)")
                    let rest = try await history.read(selection, after: resolution.position)
                    let left = history.accepted.filter(kept.contains)
                    let expected = isRemoved ? left : Array(left.dropFirst())
                    try require(rest.events, are: expected, "resuming after a repeated id")
                }
                if isRemoved { break }
                await Task.yield()
                try require(number < 1000, "after \(number) events the first is still in history")
            }
        },
        Check("A key is known while its first event is in history, and new afterwards", keeping: 10) { log in
            var history = try await HistoryProbe(opening: log)
            let events = SampleEvents.numbered(0..<3)
            let answer = try await history.append(events, once: "key")
            for _ in 0..<1000 {
                guard try await log.append(events, once: "key") == answer else {
                    try await history.follow(events)
                    let copies = try await history.read(nil, after: .earliest).events.filter { $0 == events[0] }
                    return try require(copies.count == 1, "a key was new while its first event was in history")
                }
                for filler in HistoryProbe.fillers { try await history.append([Event(topic: filler, data: "")]) }
                await Task.yield()
            }
            throw ContractViolation("the key of events that were removed is never forgotten")
        },
        Check("A time before removed events has a gap, and all events that are left follow", keeping: 30) {
            log in
            var history = try await HistoryProbe(opening: log, with: SampleEvents.history)
            try await history.fill(untilRemoved: SampleEvents.history) { history, kept in
                for selection in SampleEvents.selections {
                    let selected = history.accepted.filter(selection.contains)
                    let left = selected.filter(kept.contains)
                    let resolution = try await log.resolve(since: .seconds(86_400), for: selection)
                    try require(
                        (resolution.gap != nil) == (left != selected),
                        "\(left.count) of \(selected.count) events are left, and there is \(resolution.gapText)")
                    let rest = try await history.probe.read(selection, after: resolution.position)
                    try require(rest.events, are: left, "reading since a day")
                }
            }
        },
    ]
}

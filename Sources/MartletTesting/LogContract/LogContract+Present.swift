// SPDX-License-Identifier: Apache-2.0

import Martlet

/// What a log knows besides its events: topics that have ended, their writers, and the newest event of each key.
extension LogContract {
    static let presentChecks: [Check<any Log>] = [
        Check("Events keep what they say about themselves and their topics") { log in
            var probe = try await LogProbe(opening: log, with: lives)
            let read = try await probe.read(nil, after: .earliest).events
            try require(read, are: lives, "reading")
            try require(probe.tailed.map(\.event), are: lives, "tailing")
            try await probe.append(Array(lives.suffix(1)))
            try await probe.follow(to: lives.count + 1)
        },
        Check("The log knows the topics that have ended, their writers, and the newest event of each key") { log in
            let probe = try await LogProbe(opening: log, with: lives)
            try await requirePresent(of: probe.log, through: probe.end, is: probe.tailed)
        },
    ]

    static let endingLogChecks: [Check<any Log>] = [
        Check("A topic that has ended accepts no events, also in a batch, as an alternate, and behind its own end") {
            log in
            var probe = try await LogProbe(opening: log)
            let (chat, other): (Topic, Topic) = ("chat/1", "chat/2")
            let first = Event(topic: chat, data: "first")
            let refused: [[Event]] = [
                [first], [Event(topic: other, data: ""), first], [Event(topic: other, alternates: [chat], data: "")],
                [first, .end(of: chat)], [.end(of: other), Event(topic: other, data: "behind the end")],
            ]
            try await probe.append([first])
            try await probe.append([Event(topic: chat, data: "last"), .end(of: chat)])
            for events in refused { try await requireRefusal(.topicEnded, of: events, in: log) }
            try await probe.append([Event(topic: other, data: "goes on")])
            try await probe.follow(to: 4)
            let data = probe.tailed.map(\.event.data)
            try require(data == ["first", "last", "", "goes on"], "tailing gave \(data)")
        },
        Check("Ending a topic again is answered with where it has ended") { log in
            let probe = try await LogProbe(opening: log)
            let end = try await probe.append([.end(of: "chat/1")])
            try await probe.append([Event(topic: "chat/2", data: "")])
            for _ in 0..<2 {
                let again = try await probe.append([.end(of: "chat/1")])
                try require(again == end, "ending again got \(again) in place of \(end)")
            }
            let keyed = try await probe.append([Event(topic: "chat/3", data: ""), .end(of: "chat/3")], once: "key")
            let repeated = try await probe.append([Event(topic: "chat/3", data: ""), .end(of: "chat/3")], once: "key")
            try require(keyed == repeated, "a retry with a key got \(repeated) in place of \(keyed)")
        },
        Check("A writer that was replaced is refused, and no other") { log in
            var probe = try await LogProbe(opening: log)
            func event(_ name: String?, _ epoch: UInt64 = 0, _ topic: Topic = "chat/1") -> Event {
                var event = Event(topic: topic, data: "\(name ?? "-") \(epoch)")
                event.writer = name.map { TopicWriter($0, epoch: epoch) }
                return event
            }
            let accepted = [event("a", 1), event("a", 1), event("b", 3), event(nil), event("b", 3), event("a", 4)]
            for event in accepted { try await probe.append([event]) }
            for event in [event("a", 1), event("b", 3), event("b", 4), event("a", 0)] {
                try await requireRefusal(.writerReplaced, of: [event], in: log)
            }
            try await probe.append([event("a", 1, "chat/2")])
            try await probe.follow(to: accepted.count + 1)
        },
        Check("Of several publishers that end a topic and publish to it at once, none gets behind the end") { log in
            let probe = try await LogProbe(opening: log)
            let accepted = await withTaskGroup(of: Int.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        var accepted = 0
                        for round in 0..<20 {
                            let event = Event(topic: "chat/1", data: "\(number) \(round)")
                            if (try? await log.append([event])) != nil { accepted += 1 }
                            if number < 2, round == 5 + number { _ = try? await log.append([.end(of: "chat/1")]) }
                        }
                        return accepted
                    }
                }
                return await group.reduce(0, +)
            }
            let last = try await probe.append([Event(topic: "other", data: "")])
            let events = try await probe.read(nil, after: .earliest, through: last[0]).events
            try require(events.count == accepted + 2, "\(events.count - 2) events for \(accepted) answers")
            try require(events[events.count - 2].endsTopic, "an event is behind the end")
            try require(events.count { $0.endsTopic } == 1, "the topic has several ends")
        },
    ]

    static func presentRestartChecks(_ ending: RestartableLog.Ending) -> [Check<RestartableLog>] {
        [
            Check("What outlives history is there after \(ending.rawValue)", keeping: 30) { subject in
                var probe = try await LogProbe(opening: subject.make())
                var accepted: [Record] = []
                for life in 0..<3 {
                    let events = lives.filter { $0.topic.name.hasSuffix("\(life)") }
                    let last = try await probe.append(events).last
                    guard let last else { continue }
                    var records: [Record] = []
                    while !probe.log.covers(probe.end, last) { records += try await probe.followSlice().records }
                    accepted += records
                    // Removes all of them from history.
                    for number in 0..<12 {
                        try await probe.append(SampleEvents.numbered(10 * number..<10 * (number + 1)))
                    }
                    probe = try await LogProbe(opening: subject.restart(probe.log, by: ending), after: probe)
                    try await requirePresent(of: probe.log, through: probe.end, is: accepted)
                }
                try await requireRefusal(
                    .topicEnded, of: [Event(topic: "chat/ended/0", data: "")], in: probe.log, unlessAccepted: true)
            }
        ]
    }

    /// Events that say something about themselves or about their topics.
    private static let lives: [Event] = (0..<3).flatMap { number in
        let (open, ended): (Topic, Topic) = (topic("chat/open/\(number)"), topic("chat/ended/\(number)"))
        var expiring = Event(topic: open, data: "expires", key: "a")
        expiring.expires = WallTime(milliseconds: 4_000_000_000_000 + Int64(number))
        var short = Event(topic: topic("chat/short/\(number)"), data: "the topic expires")
        short.topicExpires = WallTime(milliseconds: 4_000_000_000_000)
        var written = Event(topic: open, data: "written", key: "b")
        written.writer = TopicWriter("na\u{EF}ve writer; \"\(number)\"", epoch: .max)
        var end = Event.end(of: ended)
        end.writer = TopicWriter("w", epoch: UInt64(number))
        return [
            expiring, short, written, Event(topic: open, data: "first of two", key: "c"),
            Event(topic: ended, alternates: [open], data: "with an alternate", id: "id:\(number)", key: "c"), end,
            Event(topic: open, data: "second of two", type: "update", key: "c", isPrivate: true),
            Event(topic: open, data: "removed later", key: "d"), Event(topic: open, data: "", key: "d"),
        ]
    }

    private static func topic(_ name: String) -> Topic {
        guard let topic = try? Topic(name) else { preconditionFailure("\(name) is no topic") }
        return topic
    }

    private static func requirePresent(of log: any Log, through end: Position, is records: [Record]) async throws {
        let present = try await log.present(through: end)
        var expected = Present()
        for record in records { expected.note(record) }
        // Where history says the same in another way, its positions may be others.
        func events(_ records: [Record]) -> Set<Event> { Set(records.map(\.event)) }
        let values = present.values.filter { $0.event.topic.name.hasPrefix("chat/") }
        try require(
            events(values) == events(expected.values) && values.count == expected.values.count,
            "the values are \(values.map(\.event.data)) in place of \(expected.values.map(\.event.data))")
        for entry in expected.topics.all {
            let found = present.topics[entry.topic]
            try require(
                found?.writer == entry.writer && found?.expires == entry.expires
                    && (found?.end == nil) == (entry.end == nil) && found?.end.map { log.covers(end, $0) } ?? true,
                "of a topic the log knows \(String(describing: found)) in place of \(entry)")
        }
        try require(present.topics.count == expected.topics.count, "the log knows of \(present.topics.count) topics")
    }

    /// - Parameter unlessAccepted: Whether the log may leave it to the hub to refuse them.
    private static func requireRefusal(
        _ code: MartletError.Code, of events: [Event], in log: any Log, unlessAccepted: Bool = false
    ) async throws {
        do {
            _ = try await log.append(events)
        } catch let error as MartletError where error.code == code {
            return
        }
        try require(unlessAccepted, "events were accepted that should be refused with \(code)")
    }
}

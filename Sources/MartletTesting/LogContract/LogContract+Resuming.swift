// SPDX-License-Identifier: Apache-2.0

import Martlet

extension LogContract {
    static let resumingChecks: [Check<any Log>] = [
        Check("A reader that resumes after any event gets exactly the rest") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            for selection in SampleEvents.selections {
                let tailed = probe.tailed.filter { selection.contains($0.event) }
                let read = try await probe.read(selection, after: .earliest).records
                for records in [tailed, read] {
                    for number in 0...records.count {
                        let place = number == 0 ? probe.start : records[number - 1].position
                        let rest = try await probe.resume(after: place.text, selection).events
                        try require(rest, are: records[number...].map(\.event), "resuming after \(place)")
                    }
                }
            }
        },
        Check("A reader that resumes after the end of any slice gets exactly the rest") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            for selection in SampleEvents.selections {
                for size in 1...4 {
                    let read = try await probe.read(selection, after: .earliest, limit: SliceLimit(events: size))
                    for (number, end) in read.sliceEnds.enumerated() {
                        let rest = try await probe.resume(after: end.text, selection).events
                        let expected = read.events.dropFirst((number + 1) * size)
                        try require(rest, are: Array(expected), "resuming after slices of \(size), at \(end)")
                    }
                }
            }
        },
        Check("A position from append is after its event") { log in
            var probe = try await LogProbe(opening: log)
            var positions: [Position] = []
            for event in SampleEvents.mixed.dropLast(3) { positions += try await probe.append([event]) }
            positions += try await probe.append(SampleEvents.mixed.suffix(3))
            try await probe.follow(to: SampleEvents.mixed.count)
            for (number, position) in positions.enumerated() {
                let rest = try await probe.resume(after: position.text, SampleEvents.selection).events
                try require(rest, follow: number, of: SampleEvents.mixed, "resuming after \(position)")
            }
        },
        Check("A publisher's id is after its earliest occurrence") { log in
            var events = SampleEvents.mixed
            for number in [4, 9, 10, 20] { events[number].id = "again" }
            let probe = try await LogProbe(opening: log, with: events)
            for (id, number) in [("again", 4), ("chosen:0", 0), ("chosen:5", 5), ("chosen:15", 15)] {
                let rest = try await probe.resume(after: id, SampleEvents.selection).events
                try require(rest, follow: number, of: events, "resuming after \(id)")
            }
        },
        Check("A publisher's id is never taken for a position") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            for record in probe.tailed.prefix(3) {
                // A log may refuse such an id.
                _ = try? await log.append([Event(topic: "other", data: "", id: record.position.text)])
            }
            for (number, record) in probe.tailed.prefix(3).enumerated() {
                let found = try await log.resolve(record.position.text, for: SampleEvents.selection).position
                try require(
                    log.covers(record.position, found), "\(record.position) resolves to \(found) once it is an id too"
                )
                let rest = try await probe.resume(after: record.position.text, SampleEvents.selection).events
                let expected = probe.tailed[(number + 1)...].map(\.event)
                try require(rest, are: expected, "resuming after \(record.position), which is also a publisher's id")
            }
        },
        Check("Publishers' ids are compared as bytes") { log in
            let events = [("\u{E9}", 0), ("e\u{301}", 1), ("E", 2), ("e", 3)].map { id, number in
                Event(topic: "news", data: "\(number)", id: id)
            }
            let probe = try await LogProbe(opening: log, with: events)
            for (number, event) in events.enumerated() {
                let rest = try await probe.resume(after: event.id ?? "", Selection(topics: ["news"])).events
                try require(rest, follow: number, of: events, "resuming after \(event.id ?? "")")
            }
        },
        Check("The id of an event that a client does not select, or may not see, is unknown to it") { log in
            let news = Selection(topics: ["news"])
            let events = [
                Event(topic: "news", data: "0"), Event(topic: "other", data: "1", id: "shared"),
                Event(topic: "news", data: "2", id: "secret", isPrivate: true),
                Event(topic: "news", data: "3", id: "shared"), Event(topic: "news", data: "4"),
                Event(topic: "other", data: "5", id: "hidden"),
            ]
            let probe = try await LogProbe(opening: log, with: events)
            for id in ["secret", "hidden"] {
                let resolution = try await log.resolve(id, for: news)
                try require(resolution.gap == .unknown, "\(id) resolves with \(resolution.gapText)")
                let read = try await probe.read(news, after: resolution.position)
                try require(read.events, are: events.filter(news.contains), "resuming after \(id)")
            }
            let rest = try await probe.resume(after: "shared", news).events
            try require(rest, are: [events[4]], "resuming after an id that an event of another topic has, too")
        },
        Check("Reading since a day gives every new event") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            for selection in SampleEvents.selections {
                let resolution = try await log.resolve(since: .seconds(86_400), for: selection)
                try require(resolution.gap == nil, "there is a gap, although no event was removed")
                let read = try await probe.read(selection, after: resolution.position)
                try require(read.events, are: SampleEvents.mixed.filter(selection.contains), "reading since a day")
            }
        },
        Check("The earliest resolves to itself") { log in
            var probe = try await LogProbe(opening: log)
            let earliest = Resolution(position: .earliest)
            for events in [[], SampleEvents.mixed] {
                try await probe.append(events)
                try await probe.follow(to: events.count)
                let resolution = try await log.resolve("earliest", for: SampleEvents.selection)
                try require(resolution == earliest, "earliest resolves to \(resolution)")
            }
        },
        Check("An unknown id is a gap, and all of history follows") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.mixed)
            let known = probe.end.text
            let rubbish = ["", " ", "unknown", "chosen:1", "\u{1F426}", "\0", known + "x", "x" + known, " " + known]
            for id in rubbish + [known + known, String(repeating: "9", count: 10_000), "Earliest"] {
                let resolution = try await log.resolve(id, for: SampleEvents.selection)
                try require(resolution.gap != nil, "the unknown id \(id.prefix(100).debugDescription) has no gap")
                let read = try await probe.read(SampleEvents.selection, after: resolution.position)
                try require(read.events, are: SampleEvents.mixed, "resuming after \(id.prefix(100).debugDescription)")
            }
        },
    ]
}

// SPDX-License-Identifier: Apache-2.0

import Martlet

/// Texts are bytes: a log changes none of them, and two Unicode spellings of one text are different texts.
extension LogContract {
    static let textChecks: [Check<any Log>] = [
        Check("Every text comes back byte for byte, and a topic selects no other spelling of it") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.spelled)
            try require(probe.tailed.map(\.event), are: SampleEvents.spelled, "tailing texts that are hard to spell")
            for topic in SampleEvents.spelledTopics {
                let selection = Selection(topics: [topic])
                let read = try await probe.read(selection, after: .earliest)
                let expected = SampleEvents.spelled.filter { $0.topics.contains(topic) }
                try require(read.events, are: expected, "reading \(topic.name.debugDescription)")
            }
        },
        Check("An id in any spelling leads to its own event") { log in
            let probe = try await LogProbe(opening: log, with: SampleEvents.spelled)
            let selection = Selection(topics: Set(SampleEvents.spelledTopics))
            for (number, event) in SampleEvents.spelled.enumerated() {
                let rest = try await probe.resume(after: event.id ?? "", selection).events
                try require(rest, follow: number, of: SampleEvents.spelled, "resuming after \(event.id ?? "")")
            }
        },
        Check("A key with another spelling of the same events is refused, and nothing is accepted") { log in
            var probe = try await LogProbe(opening: log)
            var accepted: [Event] = []
            for (number, (event, other)) in SampleEvents.otherSpellings.enumerated() {
                let answer = try await probe.append([event], once: "key \(number)")
                try await requireReuse(of: "key \(number)", in: log, with: [other])
                let again = try await probe.append([event], once: "key \(number)")
                try require(again == answer, "a retry got \(again) in place of \(answer)")
                accepted.append(event)
            }
            _ = try await probe.append(SampleEvents.numbered(0..<1))
            accepted += SampleEvents.numbered(0..<1)
            try await probe.follow(to: accepted.count)
            try require(probe.tailed.map(\.event), are: accepted, "tailing after keys with other spellings")
        },
    ]

    static let removedTextChecks: [Check<any Log>] = [
        Check("Removed events are remembered by the bytes of their topic", keeping: 30) { log in
            var history = try await HistoryProbe(opening: log, with: SampleEvents.spelledApart)
            try await history.fill(untilRemoved: SampleEvents.spelledApart) { history, kept in
                try await checkResuming(
                    history, kept: kept, SampleEvents.spelledApart,
                    SampleEvents.spelledTopics.map { Selection(topics: [$0]) })
            }
        }
    ]

    static func restartedTextChecks(_ ending: RestartableLog.Ending) -> [Check<RestartableLog>] {
        [
            Check("Removed events are remembered by the bytes of their topic after \(ending.rawValue)", keeping: 30) {
                subject in
                var history = try await HistoryProbe(opening: subject.make(), with: SampleEvents.spelledApart)
                try await history.fill(untilRemoved: SampleEvents.spelledApart)
                history = try await HistoryProbe(opening: subject.restart(history.log, by: ending), after: history)
                try await history.check { [history] kept in
                    try await checkResuming(
                        history, kept: kept, SampleEvents.spelledApart,
                        SampleEvents.spelledTopics.map { Selection(topics: [$0]) },
                        mayForgetTopics: ending == .crash)
                }
            }
        ]
    }
}

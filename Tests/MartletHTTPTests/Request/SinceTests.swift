// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import MartletHTTP
import TestSupport
import Testing

@Suite struct SinceTests {
    /// 2026-11-24T18:00:00Z
    private let now = Date(timeIntervalSince1970: 1_795_543_200)

    private func age(_ text: String) throws(Problem) -> Duration { try HubRequest.age(since: text, now: now) }

    @Test(
        "A duration or a time says how long ago",
        arguments: [
            ("15m", 900), ("90s", 90), ("24h", 86_400), ("7d", 604_800), ("0s", 0), ("500ms", 0.5),
            ("106751991167d", 9_223_372_036_828_800), ("2026-11-24T17:00:00Z", 3600),
            ("2026-11-24T18:00:00Z", 0), ("2026-11-24T18:00:01Z", 0), ("9999-12-31T23:59:59Z", 0),
            ("2026-11-24T19:00:00+02:00", 3600), ("2026-11-24T19:00:00 02:00", 3600),
            ("2026-11-24T17:59:59.25Z", 0.75),
        ])
    func durationOrATimeSays(text: String, seconds: Double) throws {
        #expect(try age(text) == .seconds(seconds))
    }

    @Test("The first parameter of the name counts")
    func firstParameterOfTheName() throws {
        #expect(try HubRequest(target: "/?topic=a&since=15m&since=1h").since == .seconds(900))
        #expect(try HubRequest(target: "/?topic=since&Since=1h").since == nil)
        #expect(throws: Problem.self) { try HubRequest(target: "/?since=").since }
    }

    @Test(
        "Anything else is refused, and the error shows both forms",
        arguments: [
            "", "yesterday", "15", "1795539600", "-15m", "+15m", " 15m", "15 m", "1.5h", "15M", "1h30m", "1w",
            "106751991168d", "1h\u{301}", "1\u{301}h", "h",
            "2026-11-24", "2026-11-24T18:00:00",
        ])
    func anythingElseIsRefused(text: String) {
        let problem = #expect(throws: Problem.self) { try age(text) }
        #expect(problem?.status == .badRequest && problem?.field == "since")
        #expect(problem?.detail.contains("since=2026-11-24T18:00:00Z") == true)
        #expect(problem?.detail.contains("since=15m") == true)
    }

    @Test("Any text is a time, a duration, or refused")
    func anyTextIsATime() throws {
        let pieces = ["9", "", "00", "-", "T", ":", ".", "Z", "z", "+", " ", "h", "ms", "\u{301}", "\u{663}"]
        let time = "2026-11-24T18:00:00.5+01:00".map(String.init)
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5000 {
            var parts = time.prefix(Int.random(in: 0...time.count, using: &random)) + ["Z"]
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                parts[Int.random(in: 0..<parts.count, using: &random)] = pieces.randomElement(using: &random)!
            }
            let text = parts.joined()
            guard let age = try? age(text) else { continue }
            try #require(age >= .zero, "seed \(seed): \(text)")
        }
    }
}

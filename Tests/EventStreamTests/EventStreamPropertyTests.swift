// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Testing

@Suite("Properties over seeded random input")
struct EventStreamPropertyTests {
    private static let seeds =
        0..<(ProcessInfo.processInfo.environment["MARTLET_FUZZ_INPUTS"].flatMap(UInt64.init) ?? 1_000)

    private static let streamPieces: [[UInt8]] =
        [
            "data", "event", "id", "retry", ":", ": ", " ", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", "\0", "12", "x",
            "retry: 9223372036854775807\n",
            "data: x\n", "id: 7\n", "retry: 5\n", "event: e\n", ": c\n", "é", "🐦", "\u{FEFF}",
        ].map { Array($0.utf8) } + [[0xEF], [0xBB], [0xBF], [0xFF], [0xE2, 0x82], [0xF0, 0x9F]]

    private static let textPieces = [
        "\r", "\n", "\r\n", "\0", "🐦", "👩‍👩‍👧", "e\u{301}", "\u{FEFF}", "\u{85}", "\u{2028}", " ", "  ", ":", "data: x",
    ]

    private func stream(using generator: inout SeededGenerator) -> [UInt8] {
        let start = Bool.random(using: &generator) ? Array("\u{FEFF}".utf8) : []
        let count = Int.random(in: 0...60, using: &generator)
        return (0..<count).reduce(into: start) { stream, _ in
            stream += Self.streamPieces.randomElement(using: &generator)!
        }
    }

    private func text(using generator: inout SeededGenerator) -> String {
        (0..<Int.random(in: 0...6, using: &generator)).map { _ in Self.textPieces.randomElement(using: &generator)! }
            .joined()
    }

    /// What a client reads of a text that may hold any line end. Works on bytes: to `Character`s CRLF is one.
    private func withLineFeeds(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let kept = bytes.indices.filter { bytes[$0] != 0x0A || $0 == 0 || bytes[$0 - 1] != 0x0D }
        return String(decoding: kept.map { bytes[$0] == 0x0D ? 0x0A : bytes[$0] }, as: UTF8.self)
    }

    @Test("Any stream in any chunks gives what the steps of the standard give")
    func matchesTheStandard() throws {
        for seed in Self.seeds {
            var generator = SeededGenerator(seed: seed)
            let stream = stream(using: &generator)
            let expected = ReferenceInterpreter(stream).outcome
            try #require(outcome(of: [stream]) == expected, "seed \(seed), in one piece")
            let chunks = stream.randomChunks(using: &generator)
            try #require(outcome(of: chunks) == expected, "seed \(seed), in chunks")
        }
    }

    @Test("Chunks change neither the error of a limit nor the elements before it")
    func limitsIgnoreChunks() throws {
        var failures = 0
        for seed in Self.seeds {
            var generator = SeededGenerator(seed: seed)
            let stream = stream(using: &generator)
            let limits = EventStreamParser.Limits(
                maximumLineBytes: Int.random(in: 0...20, using: &generator),
                maximumEventBytes: Int.random(in: 0...12, using: &generator)
            )
            let whole = outcome(of: [stream], limits: limits)
            let chunks = stream.randomChunks(using: &generator)
            try #require(outcome(of: chunks, limits: limits) == whole, "seed \(seed)")
            failures += whole.error == nil ? 0 : 1
        }
        #expect((Self.seeds.count / 10..<Self.seeds.count).contains(failures), "the streams should both pass and fail")
    }

    @Test("An encoded event is read back with LF for every line end")
    func roundTrip() throws {
        for seed in Self.seeds {
            var generator = SeededGenerator(seed: seed)
            let oneLine = text(using: &generator).unicodeScalars.filter { !["\r", "\n", "\0"].contains($0) }
            var event = ServerSentEvent(
                event: String(String.UnicodeScalarView(oneLine)),
                data: text(using: &generator),
                id: String(String.UnicodeScalarView(oneLine)),
                retry: Int.random(in: 0...EventStreamParser.maximumRetryMilliseconds, using: &generator),
                comment: text(using: &generator)
            )
            let chunks = try event.encoded().randomChunks(using: &generator)

            let comments = withLineFeeds(event.comment!).unicodeScalars.split(
                separator: "\n", omittingEmptySubsequences: false)
            var expected = Outcome(lastEventID: event.id!)
            expected.elements = comments.map { .comment(String($0)) } + [.retry(milliseconds: event.retry!)]
            event.data = withLineFeeds(event.data!)
            if oneLine.isEmpty { (event.event, event.id) = (nil, nil) }
            (event.retry, event.comment) = (nil, nil)
            expected.elements.append(.event(event))
            try #require(outcome(of: chunks) == expected, "seed \(seed)")
        }
    }
}

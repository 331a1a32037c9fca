// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import TestSupport
import Testing

/// Inputs for what reads the bytes of strangers: pieces that mean something to it, in any order, and any bytes between.
struct FuzzInput {
    /// How many inputs each test gets.
    static let count = FuzzSettings.count ?? 20_000

    private static let pieces = [
        "topic=", "topic", "data=", "id=", "type=", "retry=", "private", "lastEventID=", "Last-Event-ID=", "match",
        "match_exact=", "authorization=", "stream=", "since=", "24h", "2026-11-24T18:00:00", ".5", "+01:00", "=", "&",
        "&&", "%", "%2", "%2F", "%5c", "%2e", "%6D", "%00",
        "%0A",
        "%C3%A9", "%FF", "%zz", "+", " ", "/", "//", "\\", ".", "..", "/../", ".well-known", "mercure", "/.well-known",
        "/.well-known/mercure", "/subscriptions", "/.well-known/mercure/subscriptions", "subscriptions/", "https:",
        "http://h", "?", "#", ":", "@", "urn:uuid:", "{", "}", "{a}", "{+a}", "{#a}", "{/a*}", "{.a}", "{;a,b}",
        "{?a,b}",
        "{&a:3}", "{a", "a}", "*", ",", "a", "Z", "~", "0", "7", "86400000", "99999999999999999999", "-1", "earliest",
        "gap", "\0", "\r\n", "\u{7F}", "\u{85}", "\u{E9}", "e\u{301}", "\u{1F426}", "\u{202E}",
    ].map { Array($0.utf8) }

    let seed = FuzzSettings.seed
    private var random: SeededGenerator
    /// The number of the input, from 0.
    private(set) var number = -1
    private(set) var bytes: [UInt8] = []

    init() {
        random = SeededGenerator(seed: seed)
    }

    /// Makes the next input, unless there were enough. Now and then lets other tests go on.
    mutating func next() async -> Bool {
        number += 1
        if number % 256 == 0 { await Task.yield() }
        guard number < Self.count else { return false }
        bytes.removeAll(keepingCapacity: true)
        for _ in 0..<Int.random(in: 0...16, using: &random) {
            switch Int.random(in: 0..<20, using: &random) {
            case 0: bytes.append(UInt8.random(in: 0...255, using: &random))
            case 1: bytes += bytes.suffix(Int.random(in: 0...8, using: &random))
            case 2: bytes.removeLast(min(bytes.count, Int.random(in: 0...3, using: &random)))
            default: bytes += Self.pieces[Int.random(in: 0..<Self.pieces.count, using: &random)]
            }
        }
        if number % 1000 == 999 {
            let times = Int.random(in: 1...200, using: &random)
            bytes = Array(repeatElement(bytes, count: times).joined())
        }
        return true
    }

    /// The input as text; bytes that are not UTF-8 are replaced.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// One of a few.
    mutating func choose<T>(_ choices: [T]) -> T { choices[Int.random(in: 0..<choices.count, using: &random)] }

    /// Records what is wrong with an input and how to see it again.
    func fail(_ what: String, sourceLocation: SourceLocation = #_sourceLocation) {
        Issue.record(
            "\(what): input \(number) with MARTLET_FUZZ_SEED=\(seed): \(text.debugDescription)",
            sourceLocation: sourceLocation)
    }
}

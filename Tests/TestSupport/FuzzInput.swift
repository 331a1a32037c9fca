// SPDX-License-Identifier: Apache-2.0

import Foundation
package import Testing

/// Inputs for a parser of bytes from outside: pieces that have a meaning for it, in any order, and any bytes between them.
package struct FuzzInput {
    package let seed: UInt64
    private let pieces: [[UInt8]]
    private let count: Int
    private var random: SeededGenerator
    /// The number of the input, from 0.
    package private(set) var number = -1
    package private(set) var bytes: [UInt8] = []

    /// - Parameters:
    ///   - pieces: Texts that have a meaning for the parser.
    ///   - count: The number of inputs, unless `MARTLET_FUZZ_INPUTS` is set.
    ///   - worker: Different for each task that makes inputs at the same time.
    package init(pieces: [String], count: Int = 20_000, worker: UInt64 = 0) {
        self.pieces = pieces.map { Array($0.utf8) }
        self.count = FuzzSettings.count ?? count
        seed = FuzzSettings.seed
        random = SeededGenerator(seed: seed &+ worker)
    }

    /// Makes the next input, unless there were enough. Now and then lets other tests run.
    package mutating func next() async -> Bool {
        guard await counts() else { return false }
        bytes.removeAll(keepingCapacity: true)
        for _ in 0..<Int.random(in: 0...16, using: &random) { grow() }
        if number % 1000 == 999 {
            let times = Int.random(in: 1...200, using: &random)
            bytes = Array(repeatElement(bytes, count: times).joined())
        }
        return true
    }

    /// Makes the next input from one of a few valid ones, changed in some places or in none.
    package mutating func next(from corpus: [String]) async -> Bool {
        await next(from: corpus.map { Array($0.utf8) })
    }

    /// The same, with bytes that are no text.
    package mutating func next(from corpus: [[UInt8]]) async -> Bool {
        guard await counts() else { return false }
        bytes = choose(corpus)
        for _ in 0..<choose([0, 1, 1, 2, 3, 6]) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            let tail = Array(bytes[place...])
            bytes.removeSubrange(place...)
            grow()
            bytes += choose([tail, tail, tail, Array(tail.dropFirst(Int.random(in: 1...8, using: &random)))])
        }
        return true
    }

    private mutating func counts() async -> Bool {
        number += 1
        if number % 256 == 0 { await Task.yield() }
        return number < count
    }

    private mutating func grow() {
        switch Int.random(in: 0..<20, using: &random) {
        case 0: bytes.append(UInt8.random(in: 0...255, using: &random))
        case 1: bytes += bytes.suffix(Int.random(in: 0...8, using: &random))
        case 2: bytes.removeLast(min(bytes.count, Int.random(in: 0...3, using: &random)))
        default: bytes += pieces[Int.random(in: 0..<pieces.count, using: &random)]
        }
    }

    /// The input as text; bytes that are not UTF-8 are replaced.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// A random choice.
    package mutating func choose<T>(_ choices: [T]) -> T { choices[Int.random(in: 0..<choices.count, using: &random)] }

    /// The input in one to three parts.
    package mutating func parts() -> [[UInt8]] {
        let cuts = (0..<choose([0, 0, 1, 2])).map { _ in Int.random(in: 0...bytes.count, using: &random) }.sorted()
        return zip([0] + cuts, cuts + [bytes.count]).map { Array(bytes[$0..<$1]) }.filter { !$0.isEmpty }
    }

    /// Records an issue with the input and how to repeat it.
    package func fail(_ what: String, sourceLocation: SourceLocation = #_sourceLocation) {
        Issue.record(
            "\(what): input \(number) with MARTLET_FUZZ_SEED=\(seed): \(text.debugDescription)",
            sourceLocation: sourceLocation)
    }
}

/// The settings of tests with random input.
package enum FuzzSettings {
    /// The number of inputs of each test, if `MARTLET_FUZZ_INPUTS` is set.
    package static let count = setting("MARTLET_FUZZ_INPUTS").map(Int.init)
    /// The value of `MARTLET_FUZZ_SEED`, or a random one. A failure must name it.
    package static let seed = setting("MARTLET_FUZZ_SEED") ?? UInt64.random(in: 0 ... .max)

    private static func setting(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }
}

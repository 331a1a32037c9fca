// SPDX-License-Identifier: Apache-2.0

import EventStream

/// What a parser made of a stream. Texts are kept as bytes: `==` of `String` would hide differences.
struct Outcome: Equatable {
    var elements: [EventStreamParser.Element] = []
    var error: EventStreamError?
    var lastEventID = ""

    static func == (left: Self, right: Self) -> Bool {
        left.error == right.error && left.spelled.elementsEqual(right.spelled)
    }

    private var spelled: String.UTF8View { String(reflecting: (elements, lastEventID)).utf8 }
}

func outcome(of chunks: [[UInt8]], limits: EventStreamParser.Limits = .init()) -> Outcome {
    var parser = EventStreamParser(limits: limits)
    var outcome = Outcome()
    do throws(EventStreamError) {
        for chunk in chunks { try parser.parse(chunk, into: &outcome.elements) }
    } catch {
        outcome.error = error
    }
    outcome.lastEventID = parser.lastEventID
    return outcome
}

func outcome(of stream: String) -> Outcome {
    outcome(of: [Array(stream.utf8)])
}

func events(in stream: String) -> [ServerSentEvent] {
    outcome(of: stream).elements.compactMap { if case .event(let event) = $0 { event } else { nil } }
}

/// The SplitMix64 generator, so that a seed gives the same stream on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

extension [UInt8] {
    /// The same bytes in chunks of random sizes, some of them empty.
    func randomChunks(using generator: inout SeededGenerator) -> [[UInt8]] {
        let cuts = (0..<Int.random(in: 0...12, using: &generator))
            .map { _ in Int.random(in: 0...count, using: &generator) }
        let bounds = [0] + cuts.sorted() + [count]
        return zip(bounds, bounds.dropFirst()).map { Array(self[$0..<$1]) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet

/// A reader of topics whose events are the same ascending numbers each.
struct NumberReader {
    private struct Progress {
        /// How many of the numbers the reader has behind it.
        var count = 0
        /// Whether there was a gap since the last of them.
        var isTold = false
    }

    private let numbers: [Int]
    private let selection: Selection
    private var topics: [Topic: Progress]
    private(set) var place: Position

    init(_ numbers: [Int], _ selection: Selection, at place: Position) {
        self.numbers = numbers
        self.selection = selection
        self.place = place
        let selected = SampleEvents.topics.filter { selection.selectors.map(\.exactTopic).contains($0) }
        topics = Dictionary(uniqueKeysWithValues: selected.map { ($0, Progress()) })
    }

    var isComplete: Bool { topics.values.allSatisfy { $0.count == numbers.count } }

    mutating func resolve(in log: any Log, mayMissSomething: Bool) async throws {
        let resolution = try await log.resolve(place.text, for: selection)
        try require(mayMissSomething || resolution.gap == nil, "\(place) was just read, and has \(resolution.gapText)")
        if resolution.gap != nil { hear() }
        place = resolution.position
    }

    /// Each topic goes on where it was; after a gap it may leave something out.
    mutating func take(_ slice: Slice, mayMissSomething: Bool) throws {
        try require(mayMissSomething || slice.gap == nil, "nothing is missing, and there is a gap")
        if slice.gap != nil { hear() }
        for event in slice.records.map(\.event) {
            guard let number = Int(event.data), let index = numbers.firstIndex(of: number),
                let topic = topics[event.topic]
            else { throw ContractViolation("\(event) was not appended, or is not selected") }
            try require(
                topic.isTold ? index >= topic.count : index == topic.count,
                "of \(event.topic) the number \(number) came after \(topic.count) of \(numbers[...index])")
            topics[event.topic] = Progress(count: index + 1)
        }
        place = slice.end
    }

    /// There was a gap: of each topic something may be missing.
    private mutating func hear() { for topic in topics.keys { topics[topic]?.isTold = true } }
}

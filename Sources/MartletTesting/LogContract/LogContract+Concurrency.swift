// SPDX-License-Identifier: Apache-2.0

import Martlet
import Synchronization

/// Appending, tailing, reading and resolving at once.
extension LogContract {
    static let concurrencyChecks: [Check<any Log>] = [
        Check("Readers see every topic without a hole while events are appended") { log in
            try await readWhileAppending(to: [log], rounds: 40)
        }
    ]

    /// Appends numbered events to each topic from a separate task, tails on all nodes, and has readers follow each tail.
    ///
    /// - Parameter mayMissSomething: Whether events are removed in the meantime. Readers must then receive gaps.
    static func readWhileAppending(to nodes: [any Log], rounds: Int, mayMissSomething: Bool = false) async throws {
        let batches = (0..<rounds).map { 3 * $0..<3 * $0 + 1 + $0 % 3 }
        let numbers = batches.joined() + [3 * rounds]
        var probes: [LogProbe] = []
        for node in nodes { probes.append(try await LogProbe(opening: node)) }
        try await withThrowingTaskGroup(of: Void.self) { [probes] group in
            group.addTask {
                try await append(batches, to: probes)
                // The newest events stay in history.
                try await probes[0].append(SampleEvents.topics.map { Event(topic: $0, data: "\(3 * rounds)") })
            }
            for probe in probes {
                let tail = FollowedTail(probe.start)
                group.addTask {
                    var probe = probe
                    var reader = NumberReader(numbers, SampleEvents.selection, at: probe.start)
                    while !reader.isComplete {
                        let slice = try await probe.followSlice(limit: SliceLimit(events: 7))
                        try reader.take(slice, mayMissSomething: mayMissSomething)
                        tail.end = slice.end
                    }
                }
                for (number, selection) in SampleEvents.selections.enumerated() {
                    group.addTask {
                        var reader = NumberReader(numbers, selection, at: probe.start)
                        var round = number
                        while !reader.isComplete {
                            round += 1
                            if round % 3 == 0 {
                                try await reader.resolve(in: probe.log, mayMissSomething: mayMissSomething)
                            }
                            let slice = try await probe.log.read(
                                selection, after: reader.place, through: tail.end, limit: SliceLimit(events: 1 + number)
                            )
                            try reader.take(slice, mayMissSomething: mayMissSomething)
                            await Task.yield()
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Appends to each topic from a separate task.
    private static func append(_ batches: [Range<Int>], to nodes: [LogProbe]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, topic) in SampleEvents.topics.enumerated() {
                let node = nodes[number % nodes.count]
                group.addTask {
                    for batch in batches { try await node.append(SampleEvents.numbered(batch, topic)) }
                }
            }
            try await group.waitForAll()
        }
    }
}

/// The end of the tail of a node, up to which readers read.
private final class FollowedTail: Sendable {
    private let position: Mutex<Position>

    init(_ position: Position) { self.position = Mutex(position) }

    var end: Position {
        get { position.withLock { $0 } }
        set { position.withLock { $0 = newValue } }
    }
}

/// A reader of topics, each of which has the same ascending numbers as events.
struct NumberReader {
    private struct Progress {
        /// The number of events that the reader has passed.
        var count = 0
        /// Whether there was a gap since the last one.
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
        try require(
            mayMissSomething || resolution.gap == nil, "\(place) was just read, and resolves with \(resolution.gapText)"
        )
        if resolution.gap != nil { hear() }
        place = resolution.position
    }

    /// Each topic continues where it was; after a gap, events may be missing.
    mutating func take(_ slice: Slice, mayMissSomething: Bool) throws {
        try require(mayMissSomething || slice.gap == nil, "there is a gap, although nothing is missing")
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

    /// There was a gap: events of each topic may be missing.
    private mutating func hear() { for topic in topics.keys { topics[topic]?.isTold = true } }
}

// SPDX-License-Identifier: Apache-2.0

import Martlet
import Synchronization

/// Appending, tailing, reading and resolving at once.
extension LogContract {
    static let concurrencyChecks: [Check<any Log>] = [
        Check("Readers see every topic from its beginning without a hole, whatever is appended meanwhile") { log in
            try await readWhileAppending(to: [log], rounds: 40)
        }
    ]

    /// Appends numbered events to each topic from a task of its own, tails on all nodes, and has readers follow each tail.
    ///
    /// - Parameter mayMissSomething: Whether events are removed meanwhile. Then the readers have to be told.
    static func readWhileAppending(to nodes: [any Log], rounds: Int, mayMissSomething: Bool = false) async throws {
        let batches = (0..<rounds).map { 3 * $0..<3 * $0 + 1 + $0 % 3 }
        let numbers = batches.joined() + [3 * rounds]
        var probes: [LogProbe] = []
        for node in nodes { probes.append(try await LogProbe(opening: node)) }
        try await withThrowingTaskGroup(of: Void.self) { [probes] group in
            group.addTask {
                try await append(batches, to: probes)
                // The newest events are in history for everybody.
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

    /// Appends to each topic from a task of its own.
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

/// How far the tail of a node has come, for those who read up to there.
private final class FollowedTail: Sendable {
    private let position: Mutex<Position>

    init(_ position: Position) { self.position = Mutex(position) }

    var end: Position {
        get { position.withLock { $0 } }
        set { position.withLock { $0 = newValue } }
    }
}

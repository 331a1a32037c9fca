// SPDX-License-Identifier: Apache-2.0

import Martlet

extension LogContract {
    static let nodeChecks: [Check<[any Log]>] = [
        Check("Every node gives every event, each topic in the same order") { nodes in
            let probes = try await follow(nodes, SampleEvents.mixed)
            for (number, probe) in probes.enumerated() {
                try require(probe.tailed.map(\.event), are: SampleEvents.mixed, "tailing on node \(number)")
                let read = try await probe.read(nil, after: .earliest)
                try require(read.events, are: SampleEvents.mixed, "reading on node \(number)")
            }
        },
        Check("A reader that moves to another node gets exactly the rest") { nodes in
            let probes = try await follow(nodes, SampleEvents.mixed)
            for (from, to) in pairs(probes) {
                for selection in SampleEvents.selections {
                    let expected = SampleEvents.mixed.filter(selection.contains)
                    let tailed = from.tailed.filter { selection.contains($0.event) }
                    let read = try await from.read(selection, after: .earliest).records
                    for records in [tailed, read] {
                        for number in 0...records.count {
                            let seen = records[..<number]
                            let place = seen.last?.position ?? from.start
                            let rest = try await to.resume(after: place.text, selection).events
                            try require(seen.map(\.event) + rest, are: expected, "moving after \(place)")
                        }
                    }
                }
            }
        },
        Check("A reader that moves to another node after each slice gets every event once") { nodes in
            let probes = try await follow(nodes, SampleEvents.mixed)
            for selection in SampleEvents.selections {
                for size in 1...4 {
                    var seen: [Event] = []
                    var place = Position.earliest
                    var isComplete = false
                    var moves = 0
                    while !isComplete {
                        let probe = probes[moves % probes.count]
                        let resolution = try await probe.log.resolve(place.text, for: selection)
                        try require(resolution.gap == nil, "\(place) resolves with a gap")
                        let slice = try await probe.log.read(
                            selection, after: resolution.position, through: probe.end, limit: SliceLimit(events: size)
                        )
                        seen += slice.records.map(\.event)
                        (place, isComplete) = (slice.end, slice.isComplete)
                        moves += 1
                        try require(moves <= SampleEvents.mixed.count + 1, "the reader makes no progress at \(place)")
                    }
                    let expected = SampleEvents.mixed.filter(selection.contains)
                    try require(seen, are: expected, "moving after every \(size) events")
                }
            }
        },
        Check("The position and the publisher's id of an event are known on all nodes") { nodes in
            var probes: [LogProbe] = []
            for node in nodes { probes.append(try await LogProbe(opening: node)) }
            var positions: [Position] = []
            for (number, event) in SampleEvents.mixed.enumerated() {
                positions += try await probes[number % probes.count].append([event])
            }
            for index in probes.indices {
                try await probes[index].follow(to: SampleEvents.mixed.count)
                for (number, event) in SampleEvents.mixed.enumerated() {
                    for id in [positions[number].text] + (event.id.map { [$0] } ?? []) {
                        let rest = try await probes[index].resume(after: id, SampleEvents.selection).events
                        try require(rest, follow: number, of: SampleEvents.mixed, "node \(index), resuming after \(id)")
                    }
                }
            }
        },
        Check("A tail that waits gets events that are appended through another node") { nodes in
            var probes: [LogProbe] = []
            for node in nodes { probes.append(try await LogProbe(opening: node)) }
            for (number, (reader, writer)) in pairs(Array(probes.indices)).enumerated() {
                let probe = probes[reader]
                let event = Event(topic: "news", data: "\(number)")
                async let tailed = probe.tail(after: probe.end, count: 1)
                try await probes[writer].append([event])
                try require(try await tailed.events == [event], "the tail gave another event than was appended")
                // With some logs, nodes see an event at different times.
                for index in probes.indices { try await probes[index].follow(to: number + 1) }
            }
        },
        Check("Concurrent appends through all nodes are accepted once each, and seen on all nodes") { nodes in
            try await appendAtOnce(to: nodes)
        },
        Check("Readers on all nodes see every topic without a hole while events are appended") {
            try await readWhileAppending(to: $0, rounds: 40)
        },
    ]

    /// Opens all nodes, appends through them in turns, and tails everything on each.
    private static func follow(_ nodes: [any Log], _ events: [Event]) async throws -> [LogProbe] {
        try require(nodes.count > 1, "there is only \(nodes.count) node")
        var probes: [LogProbe] = []
        for node in nodes { probes.append(try await LogProbe(opening: node)) }
        for (number, event) in events.enumerated() { try await probes[number % probes.count].append([event]) }
        for index in probes.indices { try await probes[index].follow(to: events.count) }
        return probes
    }

    /// Each element with each other one.
    private static func pairs<Element>(_ elements: [Element]) -> [(Element, Element)] {
        elements.indices.flatMap { a in
            elements.indices.filter { $0 != a }.map { (elements[a], elements[$0]) }
        }
    }
}

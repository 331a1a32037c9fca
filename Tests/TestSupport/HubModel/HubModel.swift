// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting

/// The events that a hub should have: every accepted event, in one array for each lane of the log. No two events have the
/// same data.
struct HubModel: Sendable {
    struct Accepted: Sendable {
        var event: Event
        var lane: Int
        /// The index of the event in its lane.
        var index: Int
        /// The number of its publish.
        var batch: Int
        var position: Position
        /// The number of events in each lane, including this one.
        var counts: [Int]
        /// The time of the event by the clock of the log.
        var time: Duration
    }

    struct Batch: Sendable {
        var events: [Event]
        var positions: [Position]
        var first: Accepted
    }

    let log: ModelledLog
    private(set) var lanes: [[Accepted]]
    /// The number of times that the log has started from nothing.
    private(set) var life = 0
    private var byData: [String: (lane: Int, index: Int)] = [:]
    private var byID: [String: [(lane: Int, index: Int)]] = [:]
    private(set) var byKey: [String: Batch] = [:]
    private var batches = 0

    init(_ log: ModelledLog) {
        self.log = log
        lanes = Array(repeating: [], count: log.lanes)
    }

    var counts: [Int] { lanes.map(\.count) }
    /// The number of events of each lane up to the event with a position; zero in lanes without it.
    func counts(through id: String) -> [Int] {
        lanes.map { lane in lane.last { $0.position.text == id }.map { $0.index + 1 } ?? 0 }
    }
    /// The number of events of each lane that may be removed, and the number that must be.
    var mostRemoved: [Int] { lanes.map { max(0, $0.count - log.kept) } }
    var leastRemoved: [Int] { log.isPunctual ? mostRemoved : lanes.map { _ in 0 } }
    /// The place before the first event in history.
    var start: ModelPlace {
        var place = ModelPlace(counts: lanes.map { _ in 0 })
        place.hear(of: mostRemoved)
        return place
    }

    /// The next hub finds no events.
    mutating func beginAnew() {
        life += 1
        lanes = lanes.map { _ in [] }
        (byData, byID, byKey) = ([:], [:], [:])
    }

    mutating func accept(_ events: [Event], once key: String?, at positions: [Position]) {
        batches += 1
        var first: Accepted?
        for (event, position) in zip(events, positions) {
            let lane = log.lane(event.topic)
            let index = lanes[lane].count
            var counts = self.counts
            counts[lane] += 1
            let accepted = Accepted(
                event: event, lane: lane, index: index, batch: batches, position: position, counts: counts,
                time: log.clock?.now.offset ?? .zero)
            lanes[lane].append(accepted)
            byData[event.data] = (lane, index)
            if let id = event.id { byID[id, default: []].append((lane, index)) }
            first = first ?? accepted
        }
        if let key, let first { byKey[key] = Batch(events: events, positions: positions, first: first) }
    }

    func accepted(data: String) -> Accepted? { byData[data].map { lanes[$0.lane][$0.index] } }

    func id(of accepted: Accepted) -> ModelID {
        accepted.event.id.map(ModelID.chosen)
            ?? .position(accepted.position.text, ModelPlace(counts: accepted.counts), life: life)
    }
}

extension HubModel {
    func isRemoved(_ accepted: Accepted) -> Bool { accepted.index < leastRemoved[accepted.lane] }
    func mayBeRemoved(_ accepted: Accepted) -> Bool { accepted.index < mostRemoved[accepted.lane] }

    /// Whether a selected event after a place was removed, and the subscriber has not received a gap for it.
    func misses(_ selection: Selection, at place: ModelPlace) -> Bool {
        let removed = leastRemoved
        return lanes.indices.contains { lane in
            let behind = max(place.counts[lane], place.told[lane])
            return behind < removed[lane]
                && lanes[lane][behind..<removed[lane]].contains { selection.contains($0.event) }
        }
    }

    /// Whether a selected event after a place may have been removed. A log need not remember the rights of private events
    /// with several topics, so these count as selected.
    func mayMiss(_ selection: Selection, at place: ModelPlace) -> Bool {
        let removed = mostRemoved
        return lanes.indices.contains { lane in
            place.counts[lane] < removed[lane]
                && lanes[lane][place.counts[lane]..<removed[lane]].contains { mayCount($0.event, as: selection) }
        }
    }

    func mayCount(_ event: Event, as selection: Selection) -> Bool {
        if selection.contains(event) { return true }
        return event.isPrivate && !event.alternates.isEmpty
            && Selection(selectors: selection.selectors, grants: [.every]).contains(event)
    }

    /// The events with a publisher's id, in the order in which they were accepted.
    func occurrences(of id: String) -> [Accepted] { (byID[id] ?? []).map { lanes[$0.lane][$0.index] } }

    /// Whether one event was removed after another one was accepted.
    func wasOutlived(_ removed: Accepted, by other: Accepted) -> Bool {
        let remover =
            lanes[removed.lane].indices.contains(removed.index + log.kept)
            ? lanes[removed.lane][removed.index + log.kept].batch : batches
        return other.batch < remover
    }
}

/// The hub differs from the model.
package struct HubModelFailure: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

func verify(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    guard condition else { throw HubModelFailure(message()) }
}

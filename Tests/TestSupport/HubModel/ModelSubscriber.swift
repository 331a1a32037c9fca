// SPDX-License-Identifier: Apache-2.0

import Martlet

/// A subscriber of the hub, and its state in the model.
struct ModelSubscriber {
    let selection: Selection
    private(set) var place: ModelPlace
    /// The id with which the client comes back.
    private(set) var id: ModelID
    /// Whether a gap comes first.
    private var isGapPending: Bool
    private var events: Events.Iterator

    /// - Throws: ``HubModelFailure`` if the hub differs from the model.
    init(
        _ subscription: Subscription, selecting selection: Selection, as expected: ModelExpectation, in model: HubModel
    )
        throws
    {
        self.selection = selection
        isGapPending = subscription.gap != nil
        place = isGapPending ? expected.placeBehindGap : expected.place
        if subscription.position == .earliest { place.isEarliest = true }
        id =
            subscription.position == .earliest
            ? .earliest : .position(subscription.position.text, place, life: model.life)
        events = Events(subscription).makeAsyncIterator()
        if let gap = subscription.gap {
            try verify(expected.allowsGap, "There is a gap (\(gap.reason)) where nothing is missing.")
            try verify(expected.reasons.contains(gap.reason), "The gap is \(gap.reason).")
        } else {
            try verify(!expected.needsGap, "There is no gap where something is missing.")
        }
    }

    /// Whether an event is available, so that waiting for it ends.
    func hasMore(in model: HubModel) -> Bool {
        if isGapPending { return true }
        let removed = model.mostRemoved
        return model.lanes.indices.contains { lane in
            let place = max(place.counts[lane], place.isEarliest ? removed[lane] : place.told[lane])
            return model.lanes[lane].dropFirst(place).contains { selection.contains($0.event) }
        }
    }

    /// Takes the next event.
    ///
    /// - Returns: `false` at the end, when the hub has stopped.
    mutating func takeNext(in model: HubModel) async throws -> Bool {
        guard let delivery = try await events.next() else { return false }
        if place.isEarliest { place.hear(of: model.mostRemoved) }
        if delivery.type == Gap.eventType {
            try takeGap(delivery, in: model)
        } else {
            try take(delivery, in: model)
        }
        return true
    }

    private mutating func takeGap(_ delivery: Delivery, in model: HubModel) throws {
        if isGapPending {
            isGapPending = false
        } else {
            try verify(
                !place.isEarliest && model.mayMiss(selection, at: place), "A gap is told where nothing is missing.")
            place.hear(of: model.mostRemoved)
        }
        // A client that comes back with another selection misses nothing in front of the id.
        var known = place
        known.hear(of: model.counts(through: delivery.id))
        id = delivery.id == ModelID.earliest.text ? .earliest : .position(delivery.id, known, life: model.life)
    }

    private mutating func take(_ delivery: Delivery, in model: HubModel) throws {
        try verify(!isGapPending, "\(delivery) came before the gap.")
        guard let accepted = model.accepted(data: delivery.data) else {
            throw HubModelFailure("\(delivery) was never accepted.")
        }
        let event = accepted.event
        try verify(selection.contains(event), "\(delivery) is not selected.")
        try verify(
            delivery.topic == event.topic && delivery.type == event.type
                && (event.id.map { $0 == delivery.id } ?? true),
            "\(delivery) was accepted as \(event).")
        try verify(
            event.id != nil || !model.log.streamsAnswers || delivery.id == accepted.position.text,
            "\(delivery) was answered \(accepted.position).")
        let count = place.counts[accepted.lane]
        try verify(accepted.index >= count, "\(delivery) came again, or after one that was published later.")
        let skipped = model.lanes[accepted.lane][count..<accepted.index].last { selection.contains($0.event) }
        try verify(
            skipped.map { $0.index < place.told[accepted.lane] } ?? true,
            "\(skipped?.event.data ?? "") is missing before \(delivery), and there was no gap.")
        place.counts[accepted.lane] = accepted.index + 1
        place.isEarliest = false
        id = event.id.map(ModelID.chosen) ?? .position(delivery.id, place, life: model.life)
    }
}

/// The place of a subscriber in the model.
struct ModelPlace: Sendable {
    /// The number of events of each lane that the subscriber has passed, selected or not.
    var counts: [Int]
    /// The number of events of each lane up to which it has received gaps.
    var told: [Int]
    /// It never misses an event that is removed before it starts to read.
    var isEarliest = false

    init(counts: [Int]) {
        self.counts = counts
        told = counts.map { _ in 0 }
    }

    /// There was a gap: every event that is removed by now may be missing.
    mutating func hear(of removed: [Int]) {
        for lane in told.indices { told[lane] = max(told[lane], removed[lane]) }
    }
}

/// The id with which a client comes back, and its meaning in the model.
enum ModelID: Sendable {
    case earliest
    /// An id that a publisher chose.
    case chosen(String)
    /// A position from one life of the log.
    case position(String, ModelPlace, life: Int)
    case unknown(String)

    var text: String {
        switch self {
        case .earliest: "earliest"
        case .chosen(let text), .position(let text, _, _), .unknown(let text): text
        }
    }
}

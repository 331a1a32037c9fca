// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting

extension HubSimulation {
    /// A new client subscribes, with any id or none.
    mutating func subscribe() async throws {
        guard subscribers.count < Self.mostSubscribers else { return leave() }
        let selection = selections.randomElement(using: &random)!
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<4:
            note("subscribe live")
            let subscription = try await hub.subscribe(to: selection, after: nil)
            let place = ModelPlace(counts: model.counts)
            let expected = ModelExpectation(
                place: place, placeBehindGap: place, needsGap: false, allowsGap: false, reasons: [])
            subscribers.append(try ModelSubscriber(subscription, selecting: selection, as: expected, in: model))
        case 4..<7:
            let age = model.log.clock.map { _ in Duration.seconds(Int.random(in: 0...300, using: &random)) }
            note("subscribe since \(age ?? .zero)")
            let subscription = try await hub.subscribe(to: selection, after: nil, since: age ?? .seconds(1_000_000))
            let expected = model.expectation(since: age, selection)
            subscribers.append(try ModelSubscriber(subscription, selecting: selection, as: expected, in: model))
        case 7: try await subscribe(to: selection, after: .earliest)
        case 8: try await subscribe(to: selection, after: .unknown("never"))
        case 9:
            let place = ModelPlace(counts: model.counts)
            try await subscribe(to: selection, after: .position(hub.end.text, place, life: model.life))
        default: try await subscribe(to: selection, after: answers.randomElement(using: &random) ?? .earliest)
        }
    }

    private mutating func subscribe(to selection: Selection, after id: ModelID) async throws {
        note("subscribe to \(selection.selectors.map(\.text)) after \(id)")
        let expected = model.expectation(for: id, selection)
        let subscription = try await hub.subscribe(to: selection, after: id.text)
        subscribers.append(try ModelSubscriber(subscription, selecting: selection, as: expected, in: model))
    }

    /// A client leaves, even if events wait for it.
    mutating func leave() {
        guard let index = subscribers.indices.randomElement(using: &random) else { return }
        note("leave")
        let subscriber = subscribers.remove(at: index)
        absent.append((subscriber.id, subscriber.selection))
    }

    /// A client that has left comes back with the last id that it received.
    mutating func comeBack() async throws {
        guard let index = absent.indices.randomElement(using: &random) else { return }
        if subscribers.count >= Self.mostSubscribers { leaveForGood() }
        let (id, selection) = absent.remove(at: index)
        // If all readers agree on one order, an id means the same for all selections.
        let another = model.log.lanes == 1 && Int.random(in: 0..<4, using: &random) == 0
        try await subscribe(to: another ? selections.randomElement(using: &random)! : selection, after: id)
    }

    private mutating func leaveForGood() {
        guard let index = subscribers.indices.randomElement(using: &random) else { return }
        subscribers.remove(at: index)
    }

    /// A client takes some of the events that wait for it.
    mutating func take(atMost count: Int) async throws {
        guard let index = subscribers.indices.randomElement(using: &random) else { return }
        note("take up to \(count) of \(subscribers[index].selection.selectors.map(\.text))")
        for _ in 0..<count where subscribers[index].hasMore(in: model) {
            guard try await subscribers[index].takeNext(in: model) else {
                throw HubModelFailure("The stream has ended.")
            }
        }
    }

    /// A client takes all events that wait for it.
    mutating func drain(_ index: Int) async throws {
        note("take all of \(subscribers[index].selection.selectors.map(\.text))")
        while subscribers[index].hasMore(in: model) {
            guard try await subscribers[index].takeNext(in: model) else {
                throw HubModelFailure("The stream has ended.")
            }
        }
    }
}

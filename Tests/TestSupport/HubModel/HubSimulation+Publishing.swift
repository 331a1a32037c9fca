// SPDX-License-Identifier: Apache-2.0

import Martlet

extension HubSimulation {
    mutating func publish() async throws {
        let size =
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<60: 1...1
            case 60..<90: 2...6
            case 90..<99: 7...20
            default: 30...60
            }
        let count = Int.random(in: size, using: &random)
        let events = (0..<count).map { _ in makeEvent() }
        guard count <= 6, Int.random(in: 0..<4, using: &random) == 0 else { return try await publish(events) }
        guard Bool.random(using: &random), let (key, batch) = model.byKey.randomElement(using: &random) else {
            return try await publish(events, once: "key \(made)")
        }
        try await publishAgain(batch, key, others: events)
    }

    /// Publishes, and waits until the hub has read it.
    mutating func publish(_ events: [Event], once key: String? = nil) async throws {
        note("publish \(events.map { "\($0.topics): \($0.data) \($0.id ?? "")" }) once \(key ?? "")")
        let ids = try await hub.publish(contentsOf: events, once: key)
        let positions = log.answer
        try verify(positions.count == events.count, "\(events.count) events have \(positions.count) positions.")
        let expected = zip(events, positions).map { $0.id ?? $1.text }
        try verify(ids == expected, "\(expected) was answered \(ids).")
        model.accept(events, once: key, at: positions)
        answers += events.compactMap { model.accepted(data: $0.data).map(model.id) }
        answers.removeFirst(max(0, answers.count - 200))
        try await until { log.covers(hub.end, positions[positions.count - 1]) }
        // A log may remove surplus events with the next call.
        _ = try await log.resolve("earliest", for: selections[0])
    }

    /// Publishes with a key that was used before.
    private mutating func publishAgain(_ batch: HubModel.Batch, _ key: String, others: [Event]) async throws {
        if model.isRemoved(batch.first) { return try await publish(others, once: key) }
        // Both are correct.
        if model.mayBeRemoved(batch.first) { return }
        if Bool.random(using: &random) {
            note("repeat \(key)")
            let ids = try await hub.publish(contentsOf: batch.events, once: key)
            let expected = zip(batch.events, batch.positions).map { $0.id ?? $1.text }
            try verify(ids == expected, "\(key) was answered \(expected), and when repeated \(ids).")
        } else {
            note("reuse \(key)")
            do {
                let ids = try await hub.publish(contentsOf: others, once: key)
                throw HubModelFailure("\(key) was reused with \(others), and answered \(ids).")
            } catch let error as MartletError where error.code == .keyReused {}
        }
    }

    /// Publishes a batch that is refused as a whole.
    mutating func publishInvalid() async throws {
        var events = (0..<Int.random(in: 1...3, using: &random)).map { _ in makeEvent() }
        let last = events.count - 1
        var key: String?
        switch Int.random(in: 0..<5, using: &random) {
        case 0: events[last].id = "earliest"
        case 1: events[last].type = Gap.eventType
        case 2: events[last].retry = -1
        case 3: events[last].id = "a\nb"
        default: key = ""
        }
        note("publish invalid")
        let end = hub.end
        do {
            let ids = try await hub.publish(contentsOf: events, once: key)
            throw HubModelFailure("\(events) were accepted as \(ids).")
        } catch is MartletError {}
        try verify(hub.end == end, "The log has grown by what was refused.")
    }
}

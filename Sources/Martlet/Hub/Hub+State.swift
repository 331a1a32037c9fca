// SPDX-License-Identifier: Apache-2.0

/// The current value of a key.
public struct CurrentValue: Hashable, Sendable {
    /// The topic under which the reader knows the value.
    public let topic: Topic
    public let key: String
    public let data: String
    public let type: String?
    /// The id of the event that set the value.
    public let id: String
}

/// The current values of some topics at one moment.
public struct CurrentState: Sendable {
    /// The values, in the order in which they were set.
    public let values: [CurrentValue]
    /// Subscribe after this id to receive every later change and none of these values again.
    public let lastEventID: String
    /// Differs between states with other values, on every node alike.
    package let version: UInt64
    package let ended: EndedTopics
}

extension Hub {
    /// The current value of each key of some topics: what ``StateTopic``s, dashboards and other programs need to begin with.
    ///
    ///     let state = try await hub.state(of: Selection(topics: ["sensors"]))
    ///     for value in state.values { show(value.key, value.data) }
    ///     try await hub.subscribe(to: "sensors", after: state.lastEventID) { … }
    ///
    /// The values are those of one moment: values that change while they are read are read again. They are as many as
    /// ``HubConfiguration/stateKeys``, at most.
    ///
    /// - Throws: ``MartletError``: `topicExpired` if all topics have expired, `overloaded` if they change faster than they can
    ///   be read, or if the selection breaks one of the ``Limits``. Else what the log throws.
    public func state(of selection: Selection) async throws -> CurrentState {
        try configuration.limits.check(selection)
        try await waitUntilRunning()
        await settle()
        try fanOut.checkNotExpired(selection)
        return try await fanOut.reading.pass {
            for _ in 0..<Self.mostAttempts {
                let ended = fanOut.ends(of: selection)
                let start = fanOut.tail
                let collection = ValueCollection(try await values(of: selection, at: start))
                let end = fanOut.tail
                guard try await update(collection, of: selection, from: start, to: end) else { continue }
                return state(of: selection, fanOut.current(collection.frames), at: end.position, ended)
            }
            throw MartletError(.overloaded, "The values change faster than they can be read. Try again later.")
        }
    }

    private static let mostAttempts = 5

    /// The values at a mark, without those that have been replaced since then.
    private func values(of selection: Selection, at mark: Mark) async throws -> [Frame] {
        var frames: [Frame] = []
        var place = SequenceNumber.zero
        while true {
            let (values, end) = fanOut.values(
                of: selection, after: place, through: mark.sequence, limit: configuration.slice)
            for value in values { frames.append(value.frame) }
            guard end < mark.sequence else { return frames }
            place = end
            await Task.yield()
            try Task.checkCancellation()
        }
    }

    /// Takes over what was published between two marks. Returns whether all of that is still in history.
    private func update(
        _ collection: ValueCollection, of selection: Selection, from start: Mark, to end: Mark
    ) async throws -> Bool {
        var (position, isComplete) = (start.position, start == end)
        while !isComplete {
            let slice = try await log.read(
                selection, after: position, through: end.position, limit: configuration.slice)
            guard slice.gap == nil else { return false }
            for record in slice.records where record.event.key != nil { collection.note(Frame(record)) }
            (position, isComplete) = (slice.end, slice.isComplete)
        }
        return true
    }

    private func state(
        of selection: Selection, _ frames: [Frame], at position: Position, _ ended: EndedTopics
    ) -> CurrentState {
        var hash = StableHash()
        var values: [CurrentValue] = []
        values.reserveCapacity(frames.count)
        for frame in frames {
            let event = frame.record.event
            guard let key = event.key else { continue }
            hash.combine(frame.record.position.text)
            values.append(
                CurrentValue(
                    topic: selection.knownTopic(of: event), key: key, data: event.data, type: event.type,
                    id: frame.record.id))
        }
        return CurrentState(values: values, lastEventID: position.text, version: hash.value, ended: ended)
    }
}

/// Values in their order, of which newer ones replace older ones.
private final class ValueCollection {
    private var order: [Frame?]
    /// `nil` until a value is replaced.
    private var places: [EventKey: Int]?

    init(_ frames: [Frame]) { order = frames }

    var frames: [Frame] { order.compactMap { $0 } }

    func note(_ frame: Frame) {
        guard let name = EventKey(frame.record.event) else { return }
        var places = places ?? makePlaces()
        self.places = nil
        if let place = places.removeValue(forKey: name) { order[place] = nil }
        if !frame.record.event.data.isEmpty {
            places[name] = order.count
            order.append(frame)
        }
        self.places = places
    }

    private func makePlaces() -> [EventKey: Int] {
        var places: [EventKey: Int] = [:]
        for (place, frame) in order.enumerated() {
            if let name = frame.flatMap({ EventKey($0.record.event) }) { places[name] = place }
        }
        return places
    }
}

/// FNV-1a with 64 bits, by Fowler, Noll and Vo: the same on every node.
private struct StableHash {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func combine(_ text: String) {
        for byte in text.utf8 { combine(byte) }
        combine(0)
    }

    private mutating func combine(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
}

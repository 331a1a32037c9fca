// SPDX-License-Identifier: Apache-2.0

public import Martlet
import MartletSupport
import Synchronization

/// A topic whose latest value is its state. A new subscriber receives the current value first, and then each newer one.
///
///     let status = StateTopic<Status>("status", of: hub)
///     try await status.set(.open)
///     for try await update in status.updates { print(update.value) }
///
/// The state is the last event of the topic in the log, no matter which publisher or node it came from. It survives a
/// restart if the log does, and all nodes of a shared log agree on it once they have read that far. If several values are
/// set at the same time, the last one in the log wins.
///
/// The first read goes over the topic's history, one slice at a time, and keeps one value in memory. Later reads go over
/// new events only, and callers that read at the same time share the work. So make one `StateTopic` for each topic, and
/// keep it. Any task may use it.
///
/// Not promised: retention may remove the last value from history. A `StateTopic` that has set, read or delivered the
/// value keeps it in memory; for all others, nothing is set then.
public final class StateTopic<Value: Codable & Sendable>: Sendable {
    private struct State {
        /// The log has been read for the topic up to here.
        var position = Position.earliest
        /// The state at this position.
        var latest: Result<TypedDelivery<Value>, EventValueError>?
        /// The place of a value that this process has set, if it is not known whether it is before or after `position`.
        var own = Position.earliest
        /// Whether a caller is reading the log.
        var isReading = false

        /// Takes the state at a position, unless a newer one is known.
        mutating func learn(
            _ latest: Result<TypedDelivery<Value>, EventValueError>, at position: Position, in log: any Log
        ) {
            guard !log.covers(self.position, position), log.covers(position, self.position) else { return }
            (self.position, self.latest) = (position, latest)
        }
    }

    /// The topic on the wire.
    public let topic: Topic
    let hub: Hub
    private let state = Mutex(State())
    /// Fires when a caller has finished reading the log.
    private let turnEnded = Signal()

    /// - Parameter hub: The hub, which must run while values are read.
    public init(_ topic: Topic, of hub: Hub) {
        self.topic = topic
        self.hub = hub
    }

    var selection: Selection { Selection(topics: [topic]) }

    /// Publishes a value as the new state.
    ///
    /// - Returns: The id of the event, from which a subscriber can resume.
    /// - Throws: As `Hub.publish(_:to:type:)`.
    @discardableResult
    public func set(_ value: Value) async throws -> String {
        let id = try await hub.publish(value, to: TypedTopic(topic))
        let position = try Position(id)
        state.withLock { state in
            state.learn(.success(TypedDelivery(value: value, id: id)), at: position, in: hub.log)
            if !hub.log.covers(state.position, position) { state.own = position }
        }
        return id
    }

    /// The latest value, with the id of its event. `nil` if no value was set, or if it is no longer in history and this
    /// process has not seen it.
    ///
    /// Values that this process has set are included, and values of other nodes once this node has read them.
    ///
    /// - Throws: ``EventValueError`` if the last event of the topic is not a value of the type; otherwise the error of
    ///   the log.
    public func current() async throws -> TypedDelivery<Value>? { try await look().current }

    /// The current value, if there is one, and then each newer one, in the order of the log and none twice. The sequence
    /// ends when the hub stops.
    ///
    /// It throws ``EventValueError`` at an event that is not a value of the type, and if newer values are no longer in
    /// history and the current one is unknown. Each iteration starts with the current value.
    public var updates: StateUpdates<Value> { StateUpdates(self) }

    /// The current value, and the position after which a subscription delivers the newer ones.
    package func look() async throws -> (current: TypedDelivery<Value>?, position: Position) {
        while true {
            let end = try await hub.end(covering: state.withLock { $0.own })
            switch try await turn(through: end) {
            case .known(let latest, let position): return (try latest?.get(), position)
            case .read(let position): try await read(after: position, through: end)
            case .wait(let position): _ = try await hub.end(covering: position)
            }
        }
    }

    func learn(_ delivery: TypedDelivery<Value>, at position: Position) {
        state.withLock { $0.learn(.success(delivery), at: position, in: hub.log) }
    }

    private enum Turn {
        case known(Result<TypedDelivery<Value>, EventValueError>?, at: Position)
        /// The caller has to read the log after this position; no other caller does at the same time.
        case read(after: Position)
        /// The caller has to wait until this node has read up to this position.
        case wait(for: Position)
    }

    private func turn(through end: Position) async throws -> Turn {
        try await turnEnded.wait {
            state.withLock { state in
                if hub.log.covers(state.position, end) { return .known(state.latest, at: state.position) }
                if state.isReading { return nil }
                if !hub.log.covers(end, state.position) { return .wait(for: state.position) }
                state.isReading = true
                return .read(after: state.position)
            }
        }
    }

    private func read(after start: Position, through end: Position) async throws {
        defer {
            state.withLock { $0.isReading = false }
            turnEnded.fire()
        }
        var position = start
        var isComplete = false
        while !isComplete {
            let slice = try await hub.log.read(
                selection, after: position, through: end, limit: hub.configuration.slice)
            let last = slice.records.last.map { record in
                Result { () throws(EventValueError) in
                    try TypedDelivery<Value>(
                        data: record.event.data, id: record.id, type: record.event.type, on: topic)
                }
            }
            let isStillNew = state.withLock { state in
                // Another task may have learned of a newer value in the meantime.
                guard state.position == position else { return false }
                if last != nil || slice.gap != nil { state.latest = last }
                state.position = slice.end
                return true
            }
            guard isStillNew else { return }
            (position, isComplete) = (slice.end, slice.isComplete)
        }
    }
}

/// The current value of a ``StateTopic``, if there is one, and then each newer one; see ``StateTopic/updates``.
public struct StateUpdates<Value: Codable & Sendable>: AsyncSequence, Sendable {
    private let state: StateTopic<Value>

    init(_ state: StateTopic<Value>) { self.state = state }

    public func makeAsyncIterator() -> Iterator { Iterator(state: state) }

    /// Reads the values one at a time.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let state: StateTopic<Value>
        /// `nil` before the first value and after a gap.
        private var events: Events.Iterator?
        private var lastID: String?

        fileprivate init(state: StateTopic<Value>) { self.state = state }

        /// The next value, as soon as there is one; `nil` once the hub has stopped.
        ///
        /// - Throws: ``EventValueError``; `CancellationError`; or the log's error if history cannot be read.
        public mutating func next() async throws -> TypedDelivery<Value>? {
            var isBehindGap = false
            while true {
                if events == nil {
                    let (current, position) = try await state.look()
                    if isBehindGap, current == nil {
                        throw EventValueError.gap(in: state.topic, id: position.text)
                    }
                    let subscription = try await state.hub.subscribe(to: state.selection, after: position.text)
                    events = Events(subscription).makeAsyncIterator()
                    if let current, lastID?.isExactly(current.id) != true { return passOn(current) }
                }
                guard let delivery = try await events?.next() else { return nil }
                if delivery.topic == nil {
                    events = nil
                    isBehindGap = true
                    continue
                }
                let value = try TypedDelivery<Value>(delivery, on: state.topic)
                state.learn(value, at: delivery.position)
                return passOn(value)
            }
        }

        private mutating func passOn(_ delivery: TypedDelivery<Value>) -> TypedDelivery<Value> {
            lastID = delivery.id
            return delivery
        }
    }
}

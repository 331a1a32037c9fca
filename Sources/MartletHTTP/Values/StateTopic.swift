// SPDX-License-Identifier: Apache-2.0

public import Martlet
import Synchronization

/// A topic whose latest value is its state: who comes late is given that value, and then each newer one.
///
///     let status = StateTopic<Status>("status", of: hub)
///     try await status.set(.open)
///     for try await update in status.updates { print(update.value) }
///
/// The state is the last event of the topic in the log, whoever published it: it is there after a restart when the log is,
/// and it is the same on all nodes of a shared log, once they have read so far. Of values that are set at the same time, the
/// one that the log has last stays.
///
/// What is set last can be removed from history by retention. Who has the value in memory goes on with it: whoever has set
/// it, or has asked for it or been given it before, with the same `StateTopic`. For all others nothing is set then.
///
/// The first look goes over the topic's history, a slice at a time, and keeps one value in memory; every later look goes
/// over what is new, and is shared with who looks at the same time. Make one for each topic, and keep it.
public final class StateTopic<Value: Codable & Sendable>: Sendable {
    private struct State {
        /// How far the log has been read for the topic.
        var position = Position.earliest
        /// The state at this position.
        var latest: Result<TypedDelivery<Value>, EventValueError>?
        /// Where this process has set a value that is not known to be before or after the position.
        var own = Position.earliest
        /// Whether somebody is reading on.
        var isReading = false

        /// Takes what is the state at a position, unless more is known already.
        mutating func learn(
            _ latest: Result<TypedDelivery<Value>, EventValueError>, at position: Position, in log: any Log
        ) {
            guard !log.covers(self.position, position), log.covers(position, self.position) else { return }
            (self.position, self.latest) = (position, latest)
        }
    }

    public let topic: Topic
    let hub: Hub
    private let state = Mutex(State())
    /// Fires when somebody has read on.
    private let turnEnded = Signal()

    public init(_ topic: Topic, of hub: Hub) {
        self.topic = topic
        self.hub = hub
    }

    var selection: Selection { Selection(topics: [topic]) }

    /// Publishes a value as the new state.
    ///
    /// - Returns: an id that resuming after the event takes.
    /// - Throws: what publishing a value throws.
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

    /// The latest value, with the id of its event; `nil` where none was set, or where it is in history no more and this
    /// process has not seen it.
    ///
    /// What this process has set before is seen, and what others have set once this node has read it.
    ///
    /// - Throws: ``EventValueError`` where the last event of the topic is no such value; else what the log throws.
    public func current() async throws -> TypedDelivery<Value>? { try await look().current }

    /// The current value first, where there is one, and then each newer one, in the order of the log: none twice. Ends when
    /// the hub stops.
    ///
    /// It throws ``EventValueError`` at an event that is no such value, and where newer values are in history no more and
    /// the current one is not known. Who iterates again is given the current value again.
    public var updates: StateUpdates<Value> { StateUpdates(self) }

    /// The current value and the position at which it is current: who subscribes after it is given what is newer.
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
        /// Read the log after this position; nobody else does meanwhile.
        case read(after: Position)
        /// This node has yet to read up to this position.
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
                // Somebody may have learnt of something newer meanwhile.
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

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
/// The state is the current value of the key ``key``: the newest event of the topic with this key, no matter which
/// publisher or node it came from. Events without it are no state. So the state outlives the event in history, survives a
/// restart if the log does, and all nodes of a shared log agree on it once they have read that far. If several values are
/// set at the same time, the last one in the log wins.
///
/// The hub keeps the value among those of all topics, of which there are at most ``/Martlet/HubConfiguration/stateKeys``.
/// Any task may use a `StateTopic`.
public final class StateTopic<Value: Codable & Sendable>: Sendable {
    /// The key of the events that set the state.
    public static var key: String { "state" }

    /// The topic on the wire.
    public let topic: Topic
    let hub: Hub
    /// The place of the newest value that was set here.
    private let own = Mutex(Position.earliest)

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
        guard let data = try? EventJSON.text(of: value) else {
            throw EventValueError.notEncodable(Value.self, to: topic)
        }
        let id = try await hub.publish(Event(topic: topic, data: data, key: Self.key))
        let position = try Position(id)
        own.withLock { if !hub.log.covers($0, position) { $0 = position } }
        return id
    }

    /// The latest value, with the id of its event; `nil` if no value was set.
    ///
    /// Values that were set here are included, and values of other nodes once this node has read them.
    ///
    /// - Throws: ``EventValueError`` if the state is not a value of the type; otherwise as `Hub.state(of:)`.
    public func current() async throws -> TypedDelivery<Value>? { try await look().current }

    /// The current value, if there is one, and then each newer one, in the order of the log and none twice. The sequence
    /// ends when the hub stops. A reader that is too slow goes on with the current value.
    ///
    /// It throws ``EventValueError`` at an event that is not a value of the type. Each iteration starts with the current
    /// value.
    public var updates: StateUpdates<Value> { StateUpdates(self) }

    /// The current value, and the position after which a subscription delivers the newer ones.
    package func look() async throws -> (current: TypedDelivery<Value>?, position: Position) {
        _ = try await hub.end(covering: own.withLock { $0 })
        let state = try await hub.state(of: selection)
        let latest = state.values.last { Self.isState(key: $0.key) }
        let current = try latest.map {
            try TypedDelivery<Value>(data: $0.data, id: $0.id, type: $0.type, on: topic)
        }
        return (current, try Position(state.lastEventID))
    }

    static func isState(key: String?) -> Bool { key?.isExactly(Self.key) ?? false }
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
            while true {
                if events == nil {
                    let (current, position) = try await state.look()
                    let subscription = try await state.hub.subscribe(to: state.selection, after: position.text)
                    events = Events(subscription).makeAsyncIterator()
                    if let current, lastID?.isExactly(current.id) != true { return passOn(current) }
                }
                guard let delivery = try await events?.next() else { return nil }
                // A gap has no topic.
                guard delivery.topic != nil else {
                    events = nil
                    continue
                }
                // A value that was removed is none.
                guard StateTopic<Value>.isState(key: delivery.key), !delivery.data.isEmpty else { continue }
                return passOn(try TypedDelivery<Value>(delivery, on: state.topic))
            }
        }

        private mutating func passOn(_ delivery: TypedDelivery<Value>) -> TypedDelivery<Value> {
            lastID = delivery.id
            return delivery
        }
    }
}

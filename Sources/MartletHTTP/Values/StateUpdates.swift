// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The current value of a ``StateTopic``, where there is one, and then each newer one.
public struct StateUpdates<Value: Codable & Sendable>: AsyncSequence, Sendable {
    private let state: StateTopic<Value>

    init(_ state: StateTopic<Value>) { self.state = state }

    public func makeAsyncIterator() -> Iterator { Iterator(state: state) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let state: StateTopic<Value>
        /// `nil` before the first, and after a gap.
        private var events: Events.Iterator?
        private var lastID: String?

        fileprivate init(state: StateTopic<Value>) { self.state = state }

        /// - Throws: ``EventValueError``, `CancellationError`, or what the log throws when history has to be read.
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
